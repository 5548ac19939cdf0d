//! The invented shop: its services, what they answer, whom they ask, and how long it takes.

mod endpoints;
mod queries;
mod services;

pub(crate) use endpoints::{ENDPOINTS, ENTRIES, Endpoint, EndpointId, Protocol, Step};
pub(crate) use queries::{Query, QueryId};
pub(crate) use services::{Language, SERVICES, Service, ServiceId};

/// Where the shop runs.
pub(crate) const REGIONS: [&str; 6] =
    ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "ap-southeast-1", "sa-east-1"];

/// Shops that rent the shop; the first are much larger than the last.
pub(crate) const TENANTS: u64 = 500;

/// Customers.
pub(crate) const USERS: u64 = 200_000;

/// Names of the hosts under which the storefront is reached; the last is rare.
pub(crate) const HOSTS: [&str; 4] =
    ["shop.example.com", "www.shop.example.com", "m.shop.example.com", "old.shop.example.net"];

/// Programs that call the shop from outside.
pub(crate) const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "shop-app/7.4.1 (Android 15)",
    "curl/8.14.1",
];

/// Words of log records.
pub(crate) const WORDS: [&str; 12] = [
    "heron", "marmot", "juniper", "quartz", "saffron", "tundra", "velvet", "walnut", "zephyr",
    "bramble", "cobalt", "lantern",
];
