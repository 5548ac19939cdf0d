//! The side file that stands beside each Parquet file: blooms and summaries that say what
//! need not be read.

pub mod bloom;
pub mod bloom_table;
pub mod group_set;
pub mod hash;
pub mod side_file;
