//! Processes: their resources, scopes and clocks.

use crate::attributes::Sink;
use crate::encode::To;
use crate::model::Model;
use crate::random::{self, Purpose, Random};
use crate::recipe::Recipe;
use crate::shop::{Language, REGIONS, Service};
use crate::text::Text;
use crate::wire::Writer;
use carafe_telemetry::otlp;

/// By how much a clock is off, when it is: most are minutes off, some hours or a day.
const SKEWS_SECONDS: [u64; 6] = [45, 240, 1_500, 3_600, 9_000, 80_000];

/// The instrumentation that records a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ScopeKind {
    Http,
    Rpc,
    Database,
    Messaging,
    /// The service's own code.
    Own,
    /// Its logging library.
    Logging,
    /// Its runtime.
    Runtime,
}

/// How many scopes a process has.
pub(crate) const SCOPES: usize = 7;

const KINDS: [ScopeKind; SCOPES] = [
    ScopeKind::Http,
    ScopeKind::Rpc,
    ScopeKind::Database,
    ScopeKind::Messaging,
    ScopeKind::Own,
    ScopeKind::Logging,
    ScopeKind::Runtime,
];

/// A process of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: &'static Service,
    /// Its place among all processes.
    pub(crate) number: u16,
    pub(crate) host: String,
    /// What its clock shows too much, in nanoseconds.
    pub(crate) skew: i64,
    pub(crate) resource: otlp::Resource,
    /// The resource as a protobuf message.
    pub(crate) resource_bytes: Vec<u8>,
    pub(crate) schema_url: &'static str,
    pub(crate) scopes: Vec<otlp::InstrumentationScope>,
    /// The scopes as protobuf messages.
    pub(crate) scope_bytes: Vec<Vec<u8>>,
}

impl Instance {
    pub(super) fn new(recipe: &Recipe, service: &'static Service, of: u16, number: usize) -> Self {
        let mut random = Random::new(recipe.seed, Purpose::Resource, number as u64);
        let region = REGIONS[random.below(REGIONS.len() as u64) as usize];
        let pod = Text::new().push(service.name).push("-").hex(random.next(), 10).push("-");
        let pod = pod.hex(random.next(), 5).as_str().to_owned();
        let host = format!("node-{:02}.{region}.shop.internal", random.below(24));
        let mut model = Model::default();
        let mut writer = Writer::default();
        let facts = Facts { service, of, region, pod: &pod, host: &host };
        facts.visit(random.clone(), &mut model);
        facts.visit(random.clone(), &mut To(&mut writer, 1));
        let scopes: Vec<_> = KINDS.iter().map(|kind| scope(service, *kind)).collect();
        Self {
            service,
            number: number as u16,
            host,
            skew: 0,
            resource: otlp::Resource { attributes: model.attributes, ..Default::default() },
            resource_bytes: writer.bytes,
            schema_url: match service.stable {
                true => "https://opentelemetry.io/schemas/1.36.0",
                false => "",
            },
            scope_bytes: scopes.iter().map(prost::Message::encode_to_vec).collect(),
            scopes,
        }
    }

    /// What its clock shows when it is `time`.
    pub(crate) fn clock(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.skew)
    }
}

struct Facts<'a> {
    service: &'a Service,
    of: u16,
    region: &'static str,
    pod: &'a str,
    host: &'a str,
}

impl Facts<'_> {
    fn visit(&self, mut random: Random, sink: &mut impl Sink) {
        let service = self.service;
        sink.text("service.name", service.name);
        sink.text("service.namespace", "shop");
        sink.text("service.version", service.version);
        sink.text("service.instance.id", uuid(random.next(), random.next()).as_str());
        sink.text("telemetry.sdk.name", "opentelemetry");
        sink.text("telemetry.sdk.language", service.language.name());
        sink.text("telemetry.sdk.version", "1.36.0");
        sink.text("host.name", self.host);
        sink.text("k8s.pod.name", self.pod);
        sink.text("k8s.namespace.name", "shop");
        sink.text("cloud.region", self.region);
        sink.text("deployment.environment.name", "production");
        sink.int("process.pid", 7 + i64::from(self.of));
        match service.language {
            Language::Java => sink.text("process.runtime.name", "OpenJDK Runtime Environment"),
            Language::Python => sink.texts("process.command_args", &["python", "-m", service.name]),
            _ => {}
        }
    }
}

/// 128 bits in the form of a UUID.
pub(crate) fn uuid(high: u64, low: u64) -> Text {
    let text = Text::new().hex(high >> 32, 8).push("-").hex(high >> 16, 4).push("-4").hex(high, 3);
    text.push("-a").hex(low >> 48, 3).push("-").hex(low, 12)
}

fn scope(service: &Service, kind: ScopeKind) -> otlp::InstrumentationScope {
    let library = match (service.language, kind) {
        (_, ScopeKind::Own) => return named(service.name, service.version),
        (Language::Node, ScopeKind::Http) => "@opentelemetry/instrumentation-http",
        (Language::Node, ScopeKind::Rpc) => "@opentelemetry/instrumentation-grpc",
        (Language::Node, ScopeKind::Database) => "@opentelemetry/instrumentation-mongodb",
        (Language::Go, ScopeKind::Http) => {
            "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
        }
        (Language::Go, ScopeKind::Rpc) => {
            "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
        }
        (Language::Java, ScopeKind::Http) => "io.opentelemetry.tomcat-10.0",
        (Language::Java, ScopeKind::Rpc) => "io.opentelemetry.grpc-1.6",
        (Language::Java, ScopeKind::Database) => "io.opentelemetry.jdbc",
        (Language::Java, ScopeKind::Messaging) => "io.opentelemetry.kafka-clients-2.6",
        (Language::Python, ScopeKind::Http) => "opentelemetry.instrumentation.flask",
        (Language::Python, ScopeKind::Rpc) => "opentelemetry.instrumentation.grpc",
        (Language::Python, ScopeKind::Database) => "opentelemetry.instrumentation.dbapi",
        (Language::Dotnet, ScopeKind::Http) => "Microsoft.AspNetCore",
        (Language::Dotnet, ScopeKind::Rpc) => "OpenTelemetry.Instrumentation.GrpcNetClient",
        (Language::Rust, ScopeKind::Http) => "axum-otel",
        (_, ScopeKind::Rpc) => "grpc",
        (_, ScopeKind::Database) => "db",
        (_, ScopeKind::Messaging) => "kafka",
        (_, ScopeKind::Logging) => "logging",
        (_, ScopeKind::Runtime) => "runtime",
    };
    let mut scope = named(library, "0.57.1");
    if kind == ScopeKind::Messaging {
        scope.attributes.push(otlp::string("shop.kafka.client", "librdkafka"));
    }
    scope
}

fn named(name: &str, version: &str) -> otlp::InstrumentationScope {
    otlp::InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        ..Default::default()
    }
}

/// Sets the clocks of a fraction of all processes wrong, one at least where the fraction is
/// not zero.
pub(super) fn skew_clocks(recipe: &Recipe, instances: &mut [Instance]) {
    if recipe.skew.millionths() == 0 {
        return;
    }
    let wanted = (instances.len() as f64 * recipe.skew.get()).ceil() as usize;
    let mut order: Vec<usize> = (0..instances.len()).collect();
    order.sort_by_key(|&at| random::at(recipe.seed, Purpose::Instance, at as u64));
    for (turn, &at) in order.iter().take(wanted).enumerate() {
        let mut random = Random::from_bits(random::at(recipe.seed, Purpose::Instance, at as u64));
        let size = SKEWS_SECONDS[turn % SKEWS_SECONDS.len()] * 1_000_000_000;
        let skew = (size + random.below(size / 4)) as i64;
        instances[at].skew = if random.chance(500_000) { skew } else { -skew };
    }
}
