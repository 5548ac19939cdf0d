//! Exceptions, as each language shows them.

use crate::shop::Language;

/// What went wrong where a failure began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    pub(crate) kind: &'static str,
    pub(crate) message: &'static str,
    pub(crate) stack: &'static str,
}

const NODE: [Exception; 2] = [
    Exception {
        kind: "TypeError",
        message: "Cannot read properties of undefined (reading 'price')",
        stack: "TypeError: Cannot read properties of undefined (reading 'price')\n    at renderCard (/srv/app/dist/views/card.js:48:31)\n    at Array.map (<anonymous>)\n    at renderGrid (/srv/app/dist/views/grid.js:22:18)\n    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)\n    at async handler (/srv/app/dist/routes/product.js:77:5)",
    },
    Exception {
        kind: "AxiosError",
        message: "timeout of 3000ms exceeded",
        stack: "AxiosError: timeout of 3000ms exceeded\n    at RedirectableRequest.handleRequestTimeout (/srv/app/node_modules/axios/dist/node/axios.cjs:3247:16)\n    at Timeout.<anonymous> (/srv/app/node_modules/follow-redirects/index.js:221:12)\n    at listOnTimeout (node:internal/timers:594:17)",
    },
];

const GO: [Exception; 2] = [
    Exception {
        kind: "*errors.errorString",
        message: "context deadline exceeded",
        stack: "goroutine 4711 [running]:\ngo.opentelemetry.io/otel/sdk/trace.recordStackTrace()\n\t/go/pkg/mod/go.opentelemetry.io/otel/sdk@v1.36.0/trace/span.go:485 +0x4b\nmain.(*server).handle(0xc0001a2000)\n\t/src/server.go:212 +0x3a1",
    },
    Exception {
        kind: "*net.OpError",
        message: "dial tcp 10.4.0.9:6379: connect: connection refused",
        stack: "goroutine 1290 [running]:\nmain.(*pool).get(0xc00004e0c0)\n\t/src/pool.go:88 +0x1d4\nmain.(*server).check(0xc0001a2000)\n\t/src/server.go:140 +0x9c",
    },
];

const JAVA: [Exception; 2] = [
    Exception {
        kind: "java.util.concurrent.TimeoutException",
        message: "Did not observe any item or terminal signal within 2000ms",
        stack: "java.util.concurrent.TimeoutException: Did not observe any item or terminal signal within 2000ms\n\tat com.example.shop.gateway.Gateway.await(Gateway.java:118)\n\tat com.example.shop.gateway.Gateway.charge(Gateway.java:64)\n\tat com.example.shop.web.ChargeController.post(ChargeController.java:41)\n\tat java.base/java.lang.reflect.Method.invoke(Method.java:580)\n\tat org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:257)\n\tat java.base/java.lang.Thread.run(Thread.java:1583)",
    },
    Exception {
        kind: "org.postgresql.util.PSQLException",
        message: "ERROR: deadlock detected",
        stack: "org.postgresql.util.PSQLException: ERROR: deadlock detected\n  Detail: Process 311 waits for ShareLock on transaction 991; blocked by process 288.\n\tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2733)\n\tat com.example.shop.stock.StockDao.reserve(StockDao.java:92)",
    },
];

const PYTHON: [Exception; 2] = [
    Exception {
        kind: "ValueError",
        message: "could not convert string to float: ''",
        stack: "Traceback (most recent call last):\n  File \"/srv/app/views.py\", line 88, in handle\n    score = model.score(features(request))\n  File \"/srv/app/features.py\", line 31, in features\n    return [float(value) for value in row]\nValueError: could not convert string to float: ''\n",
    },
    Exception {
        kind: "requests.exceptions.ConnectionError",
        message: "HTTPConnectionPool(host='catalog', port=9000): Max retries exceeded",
        stack: "Traceback (most recent call last):\n  File \"/srv/app/client.py\", line 19, in get\n    return session.get(url, timeout=2)\nrequests.exceptions.ConnectionError: HTTPConnectionPool(host='catalog', port=9000): Max retries exceeded\n",
    },
];

const DOTNET: [Exception; 1] = [Exception {
    kind: "System.InvalidOperationException",
    message: "Sequence contains no elements",
    stack: "System.InvalidOperationException: Sequence contains no elements\n   at System.Linq.ThrowHelper.ThrowNoElementsException()\n   at Shop.Carts.CartStore.Load(String id) in /src/CartStore.cs:line 57\n   at Shop.Carts.CartService.Get(GetRequest request, ServerCallContext context) in /src/CartService.cs:line 23",
}];

const RUST: [Exception; 1] = [Exception {
    kind: "shop::quote::QuoteError",
    message: "no carrier serves the zone",
    stack: "   0: shop::quote::carriers\n             at src/quote.rs:133\n   1: shop::http::quotes\n             at src/http.rs:58\n   2: tokio::runtime::task::raw::poll\n",
}];

/// An exception of a language, chosen by random bits.
pub(crate) fn exception(language: Language, bits: u64) -> &'static Exception {
    let known: &[Exception] = match language {
        Language::Node => &NODE,
        Language::Go => &GO,
        Language::Java => &JAVA,
        Language::Python => &PYTHON,
        Language::Dotnet => &DOTNET,
        Language::Rust => &RUST,
    };
    &known[(bits % known.len() as u64) as usize]
}
