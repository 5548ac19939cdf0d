//! What services answer, and what they do for it.

use super::queries::QueryId::{self, *};
use super::services::ServiceId;

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Method and route; a part of the route in braces is a number in the path.
    Http(&'static str, &'static str),
    /// gRPC's service and method.
    Rpc(&'static str, &'static str),
    /// A topic of Kafka, which the service listens to.
    Topic(&'static str),
    /// Nobody calls it: it runs by the clock.
    Job(&'static str),
}

/// One thing that is done to answer, with the chance of it in percent and how often at most
/// it is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Asks another service, or publishes to its topic.
    Call(EndpointId, u8, u8),
    /// Asks a database.
    Ask(QueryId, u8, u8),
    /// Works by itself, in a span of this name, for this many microseconds.
    Work(&'static str, u8, u32),
}

/// Something that a service answers.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) service: ServiceId,
    pub(crate) protocol: Protocol,
    /// The median of its own work, in µs.
    pub(crate) median_micros: u32,
    /// How often it fails by itself, of 100,000 times.
    pub(crate) failures: u32,
    /// How often it does not find what it was asked for, in millionths.
    pub(crate) misses: u32,
    pub(crate) steps: &'static [Step],
}

macro_rules! endpoints {
    ($($id:ident $service:ident $protocol:expr, $median:literal $failures:literal $misses:literal [$($step:expr),*])*) => {
        /// Names an endpoint; its place in [`ENDPOINTS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum EndpointId { $($id),* }

        use EndpointId::*;

        /// All endpoints.
        pub(crate) static ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            service: ServiceId::$service,
            protocol: $protocol,
            median_micros: $median,
            failures: $failures,
            misses: $misses,
            steps: &[$($step),*],
        }),*];
    };
}

use Protocol::{Http, Job, Rpc, Topic};
use Step::{Ask, Call, Work};

// service, protocol, median of the own work in µs, failures of 100,000, misses of a million,
// steps
endpoints! {
    Home Storefront Http("GET", "/"), 3_000 300 0
        [Call(SessionCheck, 90, 1), Call(RecommendFor, 70, 1), Call(AdsFor, 60, 1), Work("render home", 100, 4_000)]
    ProductPage Storefront Http("GET", "/products/{id}"), 2_500 400 6_000
        [Call(SessionCheck, 80, 1), Call(ProductGet, 100, 1), Call(ReviewList, 70, 1), Call(RecommendFor, 40, 1), Work("render product", 100, 3_000)]
    CategoryPage Storefront Http("GET", "/categories/{id}"), 2_800 400 3_000
        [Call(SessionCheck, 80, 1), Call(ProductList, 100, 1), Call(AdsFor, 50, 1), Work("render category", 100, 5_000)]
    SearchPage Storefront Http("GET", "/search"), 2_000 500 0
        [Call(SessionCheck, 80, 1), Call(SearchFor, 100, 1), Call(PriceList, 80, 1)]
    CartPage Storefront Http("GET", "/cart/{id}"), 1_800 300 2_000
        [Call(SessionCheck, 100, 1), Call(CartRead, 100, 1), Call(PriceList, 100, 1)]
    CartAddPage Storefront Http("POST", "/cart/{id}/items"), 1_500 500 0
        [Call(SessionCheck, 100, 1), Call(StockCheck, 90, 1), Call(CartAdd, 100, 1)]
    CheckoutPage Storefront Http("POST", "/checkout"), 4_000 900 0
        [Call(SessionCheck, 100, 1), Call(PlaceOrder, 100, 1)]
    LoginPage Storefront Http("POST", "/login"), 2_000 400 0
        [Call(AccountLogin, 100, 1)]
    AccountPage Storefront Http("GET", "/account/orders"), 1_900 300 0
        [Call(SessionCheck, 100, 1), Call(OrderHistory, 100, 1)]
    HealthCheck Storefront Http("GET", "/healthz"), 90 10 0 []
    CartDropPage Storefront Http("DELETE", "/cart/{id}/items/{item}"), 1_100 300 9_000
        [Call(SessionCheck, 100, 1), Call(CartAdd, 100, 1)]
    AppHome MobileGateway Http("GET", "/v2/home"), 900 300 0
        [Call(SessionCheck, 100, 1), Call(RecommendFor, 80, 1), Call(PriceList, 50, 1)]
    AppProduct MobileGateway Http("GET", "/v2/products/{id}"), 800 300 5_000
        [Call(SessionCheck, 70, 1), Call(ProductGet, 100, 1), Call(ReviewList, 30, 1)]
    AppReview MobileGateway Http("POST", "/v2/products/{id}/reviews"), 1_000 600 0
        [Call(SessionCheck, 100, 1), Call(ReviewAdd, 100, 1)]
    SessionCheck Sessions Rpc("shop.Sessions", "Check"), 150 60 0
        [Ask(SessionGet, 100, 1)]
    ProductGet Catalog Http("GET", "/internal/products/{id}"), 1_200 300 4_000
        [Ask(ProductById, 100, 1), Call(PriceList, 60, 1)]
    ProductList Catalog Http("GET", "/internal/categories/{id}/products"), 2_400 500 0
        [Ask(ProductsByCategory, 100, 1), Call(PriceList, 90, 1), Work("rank products", 60, 1_500)]
    SearchFor Search Http("POST", "/internal/search"), 3_000 700 0
        [Work("parse query", 100, 120), Ask(SearchIndex, 100, 1), Call(PromotionList, 40, 1)]
    RecommendFor Recommendations Http("GET", "/internal/recommendations/{user}"), 6_000 1_500 0
        [Work("load model", 5, 40_000), Work("score candidates", 100, 5_000), Call(ProductGet, 50, 3)]
    AdsFor Ads Rpc("shop.Ads", "Pick"), 700 400 0
        [Work("auction", 100, 600)]
    PriceList Pricing Rpc("shop.Pricing", "List"), 300 200 0
        [Ask(PriceGet, 100, 1), Call(PromotionList, 15, 1)]
    PromotionList Promotions Http("GET", "/internal/promotions"), 1_400 600 0 []
    CartRead Cart Rpc("shop.Cart", "Get"), 250 200 0
        [Ask(CartGet, 100, 1)]
    CartAdd Cart Rpc("shop.Cart", "AddItem"), 350 300 0
        [Ask(CartGet, 100, 1), Ask(CartSet, 100, 1)]
    StockCheck Inventory Rpc("shop.Inventory", "Check"), 600 400 2_000
        [Ask(StockFor, 100, 1)]
    StockReserve Inventory Rpc("shop.Inventory", "Reserve"), 900 1_500 3_000
        [Ask(ReserveStock, 100, 4), Call(StockChanged, 100, 1)]
    PlaceOrder Checkout Rpc("shop.Checkout", "PlaceOrder"), 2_000 800 0
        [Call(CartRead, 100, 1), Call(PriceList, 100, 1), Call(TaxFor, 100, 1), Call(ShippingQuote, 100, 1),
         Call(StockReserve, 100, 1), Call(Charge, 100, 1), Call(OrderCreate, 100, 1)]
    TaxFor Tax Http("POST", "/internal/tax"), 1_000 500 0
        [Work("match tax zone", 100, 300)]
    ShippingQuote Shipping Http("POST", "/internal/quotes"), 1_300 700 0
        [Work("pack boxes", 100, 900)]
    Charge Payment Rpc("shop.Payment", "Charge"), 35_000 4_000 0
        [Call(FraudScore, 100, 1), Work("capture", 100, 60_000)]
    FraudScore Fraud Rpc("shop.Fraud", "Score"), 12_000 1_200 0
        [Work("features", 100, 2_500), Work("model", 100, 8_000)]
    OrderCreate Orders Rpc("shop.Orders", "Create"), 1_600 600 0
        [Ask(InsertOrder, 100, 1), Ask(InsertLine, 100, 6), Call(OrderPlaced, 100, 1), Call(OrderMail, 100, 1)]
    OrderHistory Orders Rpc("shop.Orders", "History"), 900 300 0
        [Ask(OrdersOfUser, 100, 1)]
    OrderPlaced Warehouse Topic("orders.placed"), 8_000 1_500 0
        [Work("plan pick", 100, 6_000), Call(ParcelBook, 90, 1)]
    ParcelBook Shipping Http("POST", "/internal/parcels"), 2_600 900 0 []
    OrderMail Mailer Topic("mail.outgoing"), 20_000 3_000 0
        [Work("render mail", 100, 9_000)]
    StockChanged Analytics Topic("stock.changed"), 1_500 400 0
        [Ask(InsertEvents, 100, 1)]
    AccountLogin Accounts Http("POST", "/internal/login"), 45_000 700 20_000
        [Ask(UserByMail, 100, 1), Work("verify password", 100, 38_000), Ask(TouchUser, 90, 1)]
    ReviewList Reviews Http("GET", "/internal/products/{id}/reviews"), 1_100 400 0
        [Ask(ReviewsOf, 100, 1)]
    ReviewAdd Reviews Http("POST", "/internal/products/{id}/reviews"), 1_600 800 0
        [Ask(AddReview, 100, 1), Call(StockChanged, 20, 1)]
    NightlyRollUp Analytics Job("nightly roll-up"), 20_000 9_000 0
        [Ask(RollUp, 100, 80), Work("write report", 100, 15_000), Ask(InsertEvents, 100, 40)]
}

/// What traces begin with, and how often, in parts of all.
pub(crate) const ENTRIES: [(EndpointId, u32); 15] = [
    (Home, 180),
    (ProductPage, 220),
    (CategoryPage, 120),
    (SearchPage, 110),
    (CartPage, 70),
    (CartAddPage, 60),
    (CheckoutPage, 25),
    (LoginPage, 30),
    (AccountPage, 30),
    (HealthCheck, 40),
    (CartDropPage, 12),
    (AppHome, 60),
    (AppProduct, 90),
    (AppReview, 10),
    (NightlyRollUp, 1),
];

impl EndpointId {
    pub(crate) fn get(self) -> &'static Endpoint {
        &ENDPOINTS[self as usize]
    }
}
