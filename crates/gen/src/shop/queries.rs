//! What services ask their databases and caches.

/// A statement of a database.
#[derive(Debug)]
pub(crate) struct Query {
    /// `db.system.name`.
    pub(crate) system: &'static str,
    /// `db.namespace`.
    pub(crate) database: &'static str,
    pub(crate) operation: &'static str,
    /// Table or collection; empty where there is none.
    pub(crate) table: &'static str,
    pub(crate) text: &'static str,
    /// The span's name.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) median_micros: u32,
    /// How often it fails, of 100,000 times.
    pub(crate) failures: u32,
}

macro_rules! queries {
    ($($id:ident $system:literal $port:literal $database:literal $operation:literal $table:literal $name:literal $median:literal $failures:literal $text:literal)*) => {
        /// Names a statement; its place in [`QUERIES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum QueryId { $($id),* }

        /// All statements.
        pub(crate) static QUERIES: &[Query] = &[$(Query {
            system: $system,
            database: $database,
            operation: $operation,
            table: $table,
            text: $text,
            name: $name,
            port: $port,
            median_micros: $median,
            failures: $failures,
        }),*];
    };
}

// system, port, database, operation, table, span name, median in µs, failures of
// 100,000, text
queries! {
    ProductById "postgresql" 5432 "catalog" "SELECT" "products" "SELECT products" 900 300
        "SELECT id, name, description, price_cents, currency, stock FROM products WHERE id = $1"
    ProductsByCategory "postgresql" 5432 "catalog" "SELECT" "products" "SELECT products" 4_200 500
        "SELECT p.id, p.name, p.price_cents FROM products p JOIN product_categories c ON c.product_id = p.id WHERE c.category_id = $1 ORDER BY p.rank LIMIT 48"
    StockFor "postgresql" 5432 "inventory" "SELECT" "stock_levels" "SELECT stock_levels" 1_100 400
        "SELECT warehouse_id, quantity FROM stock_levels WHERE sku = ANY($1)"
    ReserveStock "postgresql" 5432 "inventory" "UPDATE" "stock_levels" "UPDATE stock_levels" 2_600 1_500
        "UPDATE stock_levels SET reserved = reserved + $1 WHERE sku = $2 AND quantity - reserved >= $1"
    InsertOrder "postgresql" 5432 "orders" "INSERT" "orders" "INSERT orders" 3_100 800
        "INSERT INTO orders (id, user_id, tenant, total_cents, currency, placed_at) VALUES ($1, $2, $3, $4, $5, now())"
    InsertLine "postgresql" 5432 "orders" "INSERT" "order_lines" "INSERT order_lines" 800 200
        "INSERT INTO order_lines (order_id, position, sku, quantity, price_cents) VALUES ($1, $2, $3, $4, $5)"
    OrdersOfUser "postgresql" 5432 "orders" "SELECT" "orders" "SELECT orders" 2_200 300
        "SELECT id, total_cents, placed_at, state FROM orders WHERE user_id = $1 ORDER BY placed_at DESC LIMIT 20"
    UserByMail "mysql" 3306 "accounts" "SELECT" "users" "SELECT users" 1_300 300
        "SELECT id, password_hash, locked_until FROM users WHERE mail = ?"
    TouchUser "mysql" 3306 "accounts" "UPDATE" "users" "UPDATE users" 1_700 500
        "UPDATE users SET last_seen = NOW() WHERE id = ?"
    ReviewsOf "mongodb" 27017 "reviews" "find" "reviews" "find reviews" 2_400 400
        "{\"find\":\"reviews\",\"filter\":{\"product\":\"?\",\"hidden\":false},\"sort\":{\"at\":-1},\"limit\":25}"
    AddReview "mongodb" 27017 "reviews" "insert" "reviews" "insert reviews" 3_300 900
        "{\"insert\":\"reviews\",\"documents\":[{\"product\":\"?\",\"stars\":\"?\",\"text\":\"?\"}]}"
    CartGet "redis" 6379 "0" "HGETALL" "" "HGETALL" 240 100
        "HGETALL cart:?"
    CartSet "redis" 6379 "0" "HSET" "" "HSET" 260 100
        "HSET cart:? ? ?"
    SessionGet "redis" 6379 "1" "GET" "" "GET" 180 100
        "GET session:?"
    PriceGet "redis" 6379 "2" "MGET" "" "MGET" 310 100
        "MGET price:? price:? price:?"
    SearchIndex "elasticsearch" 9200 "products" "search" "products" "search products" 9_500 1_200
        "{\"query\":{\"multi_match\":{\"query\":\"?\",\"fields\":[\"name^3\",\"description\"]}},\"size\":24}"
    InsertEvents "clickhouse" 9000 "analytics" "INSERT" "events" "INSERT events" 6_000 600
        "INSERT INTO events FORMAT RowBinary"
    RollUp "clickhouse" 9000 "analytics" "SELECT" "events" "SELECT events" 45_000 2_500
        "SELECT tenant, toStartOfHour(at) AS hour, count() FROM events WHERE at >= ? GROUP BY tenant, hour ORDER BY hour"
}

impl QueryId {
    pub(crate) fn get(self) -> &'static Query {
        &QUERIES[self as usize]
    }
}
