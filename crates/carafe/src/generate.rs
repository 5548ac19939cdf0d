//! `carafe gen`: telemetry whose exact answers are known.

use crate::cli::{EXIT_RUNTIME, fail};
use crate::logging;
use crate::signals::StopSignals;
use carafe_gen::Options;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

pub(crate) async fn main(options: Options) -> ExitCode {
    logging::init();
    let mut signals = match StopSignals::catch() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("cannot catch signals: {error}")),
    };
    let cancel = CancellationToken::new();
    let running = carafe_gen::run(&options, cancel.clone());
    tokio::pin!(running);
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = signals.next() => {
            eprintln!("carafe: stopping, once more ends it at once");
            cancel.cancel();
            tokio::select! {
                outcome = &mut running => outcome,
                () = signals.next() => return ExitCode::from(EXIT_RUNTIME),
            }
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_RUNTIME),
        Err(error) => fail(error),
    }
}
