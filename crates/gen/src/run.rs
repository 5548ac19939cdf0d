//! `carafe gen` from its options to its report.

use crate::acks::{Acknowledged, AcksError};
use crate::check::{self, CheckError, CheckReport};
use crate::options::{CheckConfig, Options, OptionsError, recipe_flags};
use crate::recipe::Recipe;
use crate::send::{self, SendError};
use crate::world::World;
use carafe_telemetry::UnixNanos;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct GenError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    Acks(#[from] AcksError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Does what the options ask for and prints what came of it. Whether all was accepted, and
/// all that was checked is right. When `cancel` is cancelled, it stops.
///
/// The process must have chosen its cryptography (rustls' default provider) before.
pub async fn run(options: &Options, cancel: CancellationToken) -> Result<bool, GenError> {
    Ok(run_task(options, cancel).await?)
}

async fn run_task(options: &Options, cancel: CancellationToken) -> Result<bool, Cause> {
    let task = options.task(UnixNanos::now())?;
    let recipe = match (task.recipe, options.acks()) {
        (Some(recipe), _) => recipe,
        (None, Some(path)) => Acknowledged::read(path)?.recipe,
        (None, None) => return Err(OptionsError::StartUnknown.into()),
    };
    let world = tokio::task::spawn_blocking(move || World::new(recipe)).await?;
    let world = Arc::new(world);
    let mut fine = true;
    let mut json = serde_json::Map::new();
    if let Some(config) = &task.send {
        let report = send::send(Arc::clone(&world), config, cancel.clone()).await?;
        let flags = recipe_flags(world.recipe());
        fine = report.lost() == 0;
        if options.json() {
            json.append(&mut report.to_json());
            json.insert("check_options".to_owned(), flags.into());
        } else {
            print!("{report}");
            println!("to check: carafe gen --check URL {flags}");
        }
    }
    if let Some(config) = &task.check {
        let Some(report) = cancel.run_until_cancelled(check(&world, config)).await else {
            return Ok(false);
        };
        let report = report?;
        fine &= report.differences() == 0;
        if options.json() {
            json.append(&mut report.to_json());
        } else {
            print!("{report}");
        }
    }
    if options.json() {
        println!("{}", serde_json::Value::Object(json));
    }
    Ok(fine && !cancel.is_cancelled())
}

async fn check(world: &Arc<World>, config: &CheckConfig) -> Result<CheckReport, Cause> {
    let world = Arc::clone(world);
    Ok(match &config.acks {
        None => check::check(world, &config.url, config.traces).await?,
        Some(path) => {
            let acknowledged = read_acks(path, world.recipe())?;
            check::check_acknowledged(world, &acknowledged, &config.url, config.traces).await?
        }
    })
}

fn read_acks(path: &std::path::Path, recipe: &Recipe) -> Result<Acknowledged, AcksError> {
    let acknowledged = Acknowledged::read(path)?;
    match acknowledged.recipe == *recipe {
        true => Ok(acknowledged),
        false => Err(AcksError::OtherRun(path.to_owned())),
    }
}
