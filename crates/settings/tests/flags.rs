//! The command line of `carafe run`, against that of `opentelemetry-instrument` 0.66b1.

use std::ffi::OsString;

use carafe_settings::flags::{Invocation, Request, command, parse};
use carafe_settings::registry::VARIABLES;

/// Every flag of the official tool, and the variable that it sets.
const OFFICIAL: &str = include_str!("official_flags.txt");

fn args(line: &str) -> Vec<OsString> {
    line.split(' ').filter(|arg| !arg.is_empty()).map(OsString::from).collect()
}

#[track_caller]
fn run(line: &str) -> Invocation {
    match parse(args(line)) {
        Ok(Request::Run(invocation)) => invocation,
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn refused(line: &str) -> String {
    match parse(args(line)) {
        Err(error) => error.message,
        other => panic!("{line}: {other:?}"),
    }
}

fn pairs(invocation: &Invocation) -> Vec<(&str, &str)> {
    invocation.overrides.iter().map(|(name, value)| (&name[..], &value[..])).collect()
}

#[test]
fn the_command_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_official_flag_sets_its_variable_in_each_spelling() {
    let mut flags = 0;
    for line in OFFICIAL.lines() {
        let (flag, variable) = line.split_once(' ').unwrap();
        let kebab = flag.replace('_', "-");
        for line in [
            format!("--{flag} x app"),
            format!("--{flag}=x app"),
            format!("--{kebab} x app"),
            format!("--{kebab}=x app"),
        ] {
            assert_eq!(pairs(&run(&line)), [(variable, "x")], "{line}");
        }
        flags += 1;
    }
    assert_eq!(flags, 88);
}

#[test]
fn only_carafes_own_flags_are_more() {
    let official: Vec<_> = OFFICIAL.lines().filter_map(|line| line.split(' ').next()).collect();
    let more: Vec<_> = VARIABLES
        .iter()
        .filter_map(|variable| variable.flag)
        .filter(|flag| !official.contains(flag))
        .collect();
    assert_eq!(
        more,
        [
            "capture_output",
            "explain",
            "python",
            "system_metrics",
            "query",
            "otlp_grpc",
            "otlp_http",
            "telemetry",
            "data_dir",
            "in_memory",
            "durability",
            "retention_age",
            "retention_size",
            "memory_limit"
        ]
    );
}

#[test]
fn flags_end_at_the_command() {
    let talk = "--traces_exporter console --metrics_exporter console --logs_exporter console \
                --service_name todo flask run -p 5000 --service_name x -- --debug";
    for line in [talk.to_owned(), talk.replacen("flask", "-- flask", 1)] {
        let invocation = run(&line);
        assert_eq!(
            pairs(&invocation),
            [
                ("OTEL_SERVICE_NAME", "todo"),
                ("OTEL_TRACES_EXPORTER", "console"),
                ("OTEL_METRICS_EXPORTER", "console"),
                ("OTEL_LOGS_EXPORTER", "console"),
            ]
        );
        assert_eq!(invocation.command, args("flask run -p 5000 --service_name x -- --debug"));
    }
    assert_eq!(run("-- --odd --help").command, args("--odd --help"));
    assert_eq!(run("app --help").command, args("app --help"));
    assert_eq!(run("python -m flask --version").command, args("python -m flask --version"));
}

#[cfg(unix)]
#[test]
fn the_command_can_be_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let Ok(Request::Run(invocation)) = parse([OsString::from("app"), odd.clone()]) else {
        panic!("not understood");
    };
    assert_eq!(invocation.command, [OsString::from("app"), odd]);
}

#[test]
fn a_unique_beginning_is_enough() {
    assert_eq!(pairs(&run("--traces_e console app")), [("OTEL_TRACES_EXPORTER", "console")]);
    assert_eq!(pairs(&run("--traces-e=console app")), [("OTEL_TRACES_EXPORTER", "console")]);
    assert_eq!(pairs(&run("--cap app")), [("CARAFE_CAPTURE_OUTPUT", "true")]);
    // A flag is itself, even where others begin with it.
    assert_eq!(
        pairs(&run("--traces_sampler always_on app")),
        [("OTEL_TRACES_SAMPLER", "always_on")]
    );
    assert!(refused("--traces x app").contains("--traces"));
}

#[test]
fn the_last_of_equal_flags_counts() {
    let invocation = run("--service_name a --service-name=b --service_name c app");
    assert_eq!(pairs(&invocation), [("OTEL_SERVICE_NAME", "c")]);
}

#[test]
fn values_can_be_empty_negative_and_have_equal_signs() {
    assert_eq!(pairs(&run("--service_name= app")), [("OTEL_SERVICE_NAME", "")]);
    assert_eq!(pairs(&run("--traces_sampler_arg -1 app")), [("OTEL_TRACES_SAMPLER_ARG", "-1")]);
    let invocation = run("--resource_attributes a=b,c=d app");
    assert_eq!(pairs(&invocation), [("OTEL_RESOURCE_ATTRIBUTES", "a=b,c=d")]);
}

#[test]
fn switches_need_no_value() {
    let invocation = run("--capture_output --explain app");
    assert_eq!(pairs(&invocation), [("CARAFE_CAPTURE_OUTPUT", "true"), ("CARAFE_EXPLAIN", "true")]);
    assert_eq!(invocation.command, args("app"));
    assert_eq!(pairs(&run("--capture-output=false app")), [("CARAFE_CAPTURE_OUTPUT", "false")]);
    assert_eq!(pairs(&run("--query 127.0.0.1:0 app")), [("CARAFE_QUERY", "127.0.0.1:0")]);
}

#[test]
fn what_is_not_understood_is_said() {
    assert!(refused("").contains("COMMAND"));
    assert!(refused("--service_name todo").contains("COMMAND"));
    assert!(refused("--traces_exporter").contains("--traces_exporter"));
    assert!(refused("--traces_exportr console app").contains("--traces_exporter"));
    assert!(refused("-x app").contains("-x"));
}

#[test]
fn help_names_every_flag_with_its_variable() {
    for line in ["--help", "-h", "--service_name x --help"] {
        let Ok(Request::Help(help)) = parse(args(line)) else { panic!("no help for {line}") };
        for variable in VARIABLES {
            let Some(flag) = variable.flag else { continue };
            assert!(
                help.contains(&format!("--{flag} ")) || help.contains(&format!("--{flag}[")),
                "{flag}"
            );
            assert!(help.contains(variable.name), "{}", variable.name);
        }
    }
}

#[test]
fn the_version_is_said() {
    let Ok(Request::Version(version)) = parse(args("--version")) else { panic!("no version") };
    assert_eq!(version, concat!("carafe ", env!("CARGO_PKG_VERSION"), "\n"));
}
