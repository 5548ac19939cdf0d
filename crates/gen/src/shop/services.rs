//! The services.

/// What a service is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Node,
    Go,
    Java,
    Python,
    Dotnet,
    Rust,
}

impl Language {
    /// `telemetry.sdk.language`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "nodejs",
            Self::Go => "go",
            Self::Java => "java",
            Self::Python => "python",
            Self::Dotnet => "dotnet",
            Self::Rust => "rust",
        }
    }
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    /// Whether it uses the stable semantic conventions, or the old ones.
    pub(crate) stable: bool,
    /// How many processes it has.
    pub(crate) instances: u16,
    pub(crate) port: u16,
    pub(crate) version: &'static str,
}

macro_rules! services {
    ($($id:ident $name:literal $language:ident $stable:literal $instances:literal $port:literal $version:literal)*) => {
        /// Names a service; its place in [`SERVICES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum ServiceId { $($id),* }

        /// All services.
        pub(crate) static SERVICES: &[Service] = &[$(Service {
            name: $name,
            language: Language::$language,
            stable: $stable,
            instances: $instances,
            port: $port,
            version: $version,
        }),*];
    };
}

// name, language, whether its conventions are stable, instances, port, version
services! {
    Storefront "storefront" Node true 6 8080 "7.12.3"
    MobileGateway "mobile-gateway" Go true 4 8081 "3.4.0"
    Cart "cart" Dotnet true 3 7070 "2.8.1"
    Catalog "catalog" Java false 4 9000 "5.1.0"
    Search "search" Rust true 3 9200 "1.19.2"
    Recommendations "recommendations" Python false 2 8085 "0.31.0"
    Checkout "checkout" Go true 4 5050 "4.0.7"
    Payment "payment" Java true 3 5051 "3.3.3"
    Fraud "fraud" Python true 2 5052 "0.9.14"
    Shipping "shipping" Rust true 2 5053 "1.2.0"
    Tax "tax" Node false 2 5054 "2.0.0"
    Inventory "inventory" Java false 3 5055 "6.6.1"
    Pricing "pricing" Go true 2 5056 "1.44.0"
    Promotions "promotions" Python false 2 5057 "2.2.9"
    Accounts "accounts" Dotnet false 3 5058 "8.0.2"
    Sessions "sessions" Go true 2 5059 "1.1.1"
    Orders "orders" Java true 3 5060 "4.9.0"
    Mailer "mailer" Node false 1 5061 "1.0.18"
    Analytics "analytics" Python true 2 5062 "0.5.5"
    Reviews "reviews" Node true 2 5063 "3.0.4"
    Ads "ads" Java false 2 5064 "2.7.0"
    Warehouse "warehouse" Dotnet true 2 5065 "1.8.8"
}

impl ServiceId {
    pub(crate) fn get(self) -> &'static Service {
        &SERVICES[self as usize]
    }
}
