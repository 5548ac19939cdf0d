//! Where telemetry is kept, as the command line and the environment say it.

use carafe_settings::quantity;
use carafe_settings::{StoreDurability, StoreSettings};
use carafe_store::{MemoryLimits, MemoryStore, Store, StoreError, StoreErrorKind};
use carafe_store_local::config::DEFAULT_MEMORY_BYTES;
use carafe_store_local::log::Durability;
use carafe_store_local::{LocalConfig, LocalStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Options of all commands that keep telemetry.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Where telemetry is kept, by one process at a time [default: $XDG_DATA_HOME/carafe]
    #[arg(long, value_name = "DIR", env = "CARAFE_DATA_DIR", hide_env = true)]
    data_dir: Option<PathBuf>,
    /// Keep telemetry in memory alone, until the end
    #[arg(long, env = "CARAFE_IN_MEMORY", hide_env = true)]
    in_memory: bool,
    /// When telemetry is acknowledged: on the disk, written, or at once [default: fsync]
    #[arg(long, value_name = "WHEN", env = "CARAFE_DURABILITY", hide_env = true)]
    durability: Option<WhenDurable>,
    #[command(flatten)]
    retention: RetentionArgs,
    /// What data may take in memory [default: 512MiB]
    #[arg(
        long,
        value_name = "SIZE",
        env = "CARAFE_MEMORY_LIMIT",
        hide_env = true,
        value_parser = quantity::bytes
    )]
    memory_limit: Option<u64>,
}

/// Options of what goes by itself.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RetentionArgs {
    /// Age of what is removed: 7d, 12h, none [default: 7d]
    #[arg(
        long,
        value_name = "AGE",
        env = "CARAFE_RETENTION_AGE",
        hide_env = true,
        value_parser = age
    )]
    retention_age: Option<Limit<Duration>>,
    /// What the data may take before the oldest goes: 10GB, none [default: 10GB]
    #[arg(
        long,
        value_name = "SIZE",
        env = "CARAFE_RETENTION_SIZE",
        hide_env = true,
        value_parser = size
    )]
    retention_size: Option<Limit<u64>>,
}

impl RetentionArgs {
    /// With everything else unsaid.
    pub(crate) fn settings(self) -> StoreSettings {
        StoreSettings {
            retention_age: self.retention_age.map(|limit| limit.0),
            retention_size: self.retention_size.map(|limit| limit.0),
            ..StoreSettings::default()
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum WhenDurable {
    Fsync,
    Os,
    Memory,
}

/// A limit, or none. Not an `Option`, which clap would take for an option that may be absent.
#[derive(Clone, Copy, Debug)]
struct Limit<T>(Option<T>);

fn age(text: &str) -> Result<Limit<Duration>, String> {
    quantity::limit(text, quantity::age).map(Limit)
}

fn size(text: &str) -> Result<Limit<u64>, String> {
    quantity::limit(text, quantity::bytes).map(Limit)
}

impl StoreArgs {
    pub(crate) fn settings(self) -> StoreSettings {
        StoreSettings {
            data_dir: self.data_dir,
            in_memory: self.in_memory,
            durability: self.durability.map(|when| match when {
                WhenDurable::Fsync => StoreDurability::Fsync,
                WhenDurable::Os => StoreDurability::Os,
                WhenDurable::Memory => StoreDurability::Memory,
            }),
            memory_limit: self.memory_limit,
            ..self.retention.settings()
        }
    }
}

/// Which store, and how it behaves.
#[derive(Clone, Debug)]
pub(crate) enum StoreChoice {
    /// What fits in memory, until the process ends.
    Memory(MemoryLimits),
    /// A data directory.
    Local(Box<LocalConfig>),
}

impl StoreChoice {
    /// `program` is what others are told who find the data directory taken.
    ///
    /// # Errors
    /// Where no data directory is said and there is no home to have one in, or where a test's
    /// variable cannot be read.
    pub(crate) fn new(settings: &StoreSettings, program: &str) -> Result<Self, StoreError> {
        if settings.in_memory {
            return Ok(Self::in_memory(settings));
        }
        local_config(settings, program).map(|config| Self::Local(Box::new(config)))
    }

    /// Memory alone, with the limit of the settings.
    pub(crate) fn in_memory(settings: &StoreSettings) -> Self {
        let memory = settings.memory_limit.unwrap_or(DEFAULT_MEMORY_BYTES);
        let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        Self::Memory(MemoryLimits::with_max_bytes(bytes))
    }

    /// Opens the store. Blocks while the log is read.
    pub(crate) fn open(self) -> Result<OpenStore, StoreError> {
        match self {
            Self::Memory(limits) => Ok(OpenStore::Memory(Arc::new(MemoryStore::new(limits)))),
            Self::Local(config) => LocalStore::open(*config).map(OpenStore::Local),
        }
    }
}

/// As [`StoreChoice::new`], with a data directory in any case.
pub(crate) fn local_config(
    settings: &StoreSettings,
    program: &str,
) -> Result<LocalConfig, StoreError> {
    let directory = match &settings.data_dir {
        Some(directory) => directory.clone(),
        None => default_data_dir()?,
    };
    let memory = settings.memory_limit.unwrap_or(DEFAULT_MEMORY_BYTES);
    let mut config = LocalConfig::new(directory).with_memory(memory);
    program.clone_into(&mut config.program);
    config.log.durability = match settings.durability.unwrap_or_default() {
        StoreDurability::Fsync => Durability::Fsync,
        StoreDurability::Os => Durability::Os,
        StoreDurability::Memory => Durability::Memory,
    };
    if let Some(age) = settings.retention_age {
        config.retention_age = age;
    }
    if let Some(bytes) = settings.retention_size {
        config.retention_bytes = bytes;
    }
    tune(&mut config, &|name| std::env::var(name).ok())?;
    Ok(config)
}

/// A store that is open.
#[derive(Clone)]
pub(crate) enum OpenStore {
    Memory(Arc<MemoryStore>),
    Local(Arc<LocalStore>),
}

impl OpenStore {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Local(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Makes a data directory ready for the next process: what is in memory goes to files.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Local(store) => store.close().await,
        }
    }
}

/// Where programs keep a user's data (XDG base directory specification).
pub(crate) fn default_data_dir() -> Result<PathBuf, StoreError> {
    let absolute = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|directory| directory.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|directory| directory.join("carafe"))
        .ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Unavailable,
                "there is no home directory to keep telemetry in; hint: name a directory with \
                 --data-dir, or say --in-memory",
            )
        })
}

/// What tests of crashes set, so that much happens in little time; docs/store.md.
fn tune(
    config: &mut LocalConfig,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), StoreError> {
    let read = |name: &str| -> Result<Option<f64>, StoreError> {
        let Some(text) = lookup(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        number.map(Some).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::InvalidData,
                format!("{name} is {text:?}; hint: a number greater than 0"),
            )
        })
    };
    // Far beyond what any run takes, and within what a duration holds.
    let seconds = |number: f64| Duration::from_secs_f64(number.min(1e9));
    if let Some(bytes) = read("CARAFE_STORE_FLUSH_BYTES")? {
        config.flush_bytes = bytes as u64;
    }
    if let Some(age) = read("CARAFE_STORE_FLUSH_SECONDS")? {
        config.flush_age = seconds(age);
    }
    if let Some(interval) = read("CARAFE_STORE_MAINTENANCE_SECONDS")? {
        config.maintenance_interval = seconds(interval);
    }
    if let Some(bytes) = read("CARAFE_STORE_LOG_SEGMENT_BYTES")? {
        config.log.segment_bytes = bytes as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_a_configuration() {
        let settings = StoreSettings {
            data_dir: Some("/data".into()),
            durability: Some(StoreDurability::Os),
            retention_age: Some(None),
            retention_size: Some(Some(5)),
            memory_limit: Some(64 << 20),
            ..StoreSettings::default()
        };
        let StoreChoice::Local(config) = StoreChoice::new(&settings, "carafe up").unwrap() else {
            panic!("not in memory");
        };
        assert_eq!(config.directory, PathBuf::from("/data"));
        assert_eq!(config.program, "carafe up");
        assert_eq!(config.log.durability, Durability::Os);
        assert_eq!((config.retention_age, config.retention_bytes), (None, Some(5)));
        assert_eq!(config.memory_bytes, 32 << 20);
        let settings = StoreSettings { in_memory: true, ..settings };
        let choice = StoreChoice::new(&settings, "carafe up").unwrap();
        assert!(matches!(choice, StoreChoice::Memory(_)));
    }

    #[test]
    fn tests_can_make_it_busy() {
        let mut config = LocalConfig::new("/data");
        let set = |name: &str| name.ends_with("SECONDS").then(|| "0.25".to_owned());
        tune(&mut config, &set).unwrap();
        assert_eq!(config.flush_age, Duration::from_millis(250));
        assert_eq!(config.maintenance_interval, Duration::from_millis(250));
        let error = tune(&mut config, &|_| Some("-1".to_owned())).unwrap_err();
        assert!(error.to_string().contains("CARAFE_STORE_FLUSH_BYTES is \"-1\""), "{error}");
    }
}
