"""ASGI apps and the requests that the tests send to them, in process.

The same requests were sent to the same apps under the official packages (0.66b1); the spans that
those emitted are in `expected/asgi.json`. `asgi_scenarios.py GROUP [NAME ...]` sends the requests
of a group, or some of them, and prints one line for each: its name, when it began and ended
(ns), the status of the response, and the exception that reached the server.
"""

import asyncio
import sys
import time


class Boom(Exception):
    __module__ = "asgi_scenarios"


class Handled(Exception):
    pass


def http(method, path, *, query=b"", headers=(), body=b"", chunks=None, **more):
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": more.pop("spec_version", "2.3")},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"shop.example:8000"), (b"user-agent", b"probe/1.0"), *headers],
        "client": ("192.0.2.7", 50123),
        "server": ("127.0.0.1", 8000),
        **more,
    }
    if chunks is None:
        chunks = [body]
    messages = [
        {"type": "http.request", "body": chunk, "more_body": at + 1 < len(chunks)}
        for at, chunk in enumerate(chunks)
    ]
    return scope, messages


def websocket(path, texts=("one", "two"), **more):
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example:8000"), (b"user-agent", b"probe/1.0")],
        "client": ("192.0.2.7", 50123),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
        **more,
    }
    messages = [{"type": "websocket.connect"}]
    messages += [{"type": "websocket.receive", "text": text} for text in texts]
    messages.append({"type": "websocket.disconnect", "code": 1000})
    return scope, messages


async def call(app, scope, messages, *, send_fails_after=None):
    """Calls an app as a server does; gives the messages it sent and its exception."""
    incoming = list(messages)
    sent = []
    done = asyncio.Event()

    async def receive():
        if incoming:
            return incoming.pop(0)
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        await asyncio.sleep(0)
        if send_fails_after is not None and len(sent) >= send_fails_after:
            raise OSError("client is gone")
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            done.set()

    try:
        await app(scope, receive, send)
    except Exception as error:
        return sent, error
    return sent, None


def fastapi_app():
    from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
    from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from pydantic import BaseModel
    from starlette.applications import Starlette
    from starlette.routing import Route

    app = FastAPI(openapi_url=None)

    class Item(BaseModel):
        name: str

    @app.get("/items/{item_id}")
    async def item(item_id: int):
        return {"id": item_id}

    @app.get("/sync/{name}")
    def sync(name: str):
        child("work in a thread")
        return {"name": name}

    @app.post("/items")
    async def create(item: Item):
        return JSONResponse({"name": item.name}, 201)

    @app.get("/boom")
    async def boom():
        raise Boom("out of order")

    @app.get("/handled")
    async def handled():
        raise Handled("known fault")

    @app.exception_handler(Handled)
    async def on_handled(request, error):
        return PlainTextResponse("sorry", 503)

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418, "short and stout")

    @app.get("/unwell")
    async def unwell():
        return PlainTextResponse("unwell", 500)

    @app.get("/stream")
    async def stream():
        async def parts():
            for part in ("a", "b", "c"):
                child("part")
                yield part

        return StreamingResponse(parts())

    @app.get("/stream-boom")
    async def stream_boom():
        async def parts():
            yield "a"
            raise Boom("torn")

        return StreamingResponse(parts())

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        def afterwards(text):
            child(text)

        tasks.add_task(afterwards, "sent a mail")
        return {"ok": True}

    @app.websocket("/echo/{room}")
    async def echo(socket: WebSocket, room: str):
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text + " " + room)

    async def session():
        yield "session"
        child("closed the session")

    @app.get("/needs")
    async def needs(session=Depends(session)):
        return {"session": session}

    router = APIRouter(prefix="/v2")

    @router.get("/things/{thing}")
    async def thing(thing: str):
        return {"thing": thing}

    app.include_router(router, prefix="/api")

    sub = FastAPI(openapi_url=None)

    @sub.get("/parts/{part}")
    async def part(part: str):
        return {"part": part}

    app.mount("/sub", sub)

    async def leaf(request):
        return PlainTextResponse("leaf")

    app.mount("/tree", Starlette(routes=[Route("/leaf/{n}", leaf)]))
    app.mount("/raw", raw_app)
    return app


def fastapi_app_with_middleware():
    from fastapi import FastAPI
    from starlette.responses import PlainTextResponse

    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def guard(request, call_next):
        child("guard")
        if request.headers.get("x-deny"):
            return PlainTextResponse("no", 403)
        return await call_next(request)

    @app.get("/items/{item_id}")
    async def item(item_id: int):
        return {"id": item_id}

    @app.get("/boom")
    async def boom():
        raise Boom("out of order")

    return app


def starlette_app():
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.endpoints import HTTPEndpoint
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Host, Mount, Route, WebSocketRoute

    async def item(request):
        child("inside")
        return PlainTextResponse(str(request.path_params["item_id"]))

    def sync(request):
        child("work in a thread")
        return PlainTextResponse("sync")

    async def create(request):
        body = await request.body()
        return PlainTextResponse(body, 201)

    async def boom(request):
        raise Boom("out of order")

    async def handled(request):
        raise Handled("known fault")

    async def on_handled(request, error):
        return PlainTextResponse("sorry", 503)

    async def teapot(request):
        raise HTTPException(418)

    async def stream(request):
        async def parts():
            for part in ("a", "b"):
                yield part

        return StreamingResponse(parts())

    async def later(request):
        return PlainTextResponse("ok", background=BackgroundTask(child, "sent a mail"))

    class Thing(HTTPEndpoint):
        async def get(self, request):
            return PlainTextResponse("thing")

    async def echo(socket):
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    async def leaf(request):
        return PlainTextResponse("leaf")

    return Starlette(
        routes=[
            Route("/items/{item_id:int}", item),
            Route("/sync", sync),
            Route("/items", create, methods=["POST"]),
            Route("/boom", boom),
            Route("/handled", handled),
            Route("/teapot", teapot),
            Route("/stream", stream),
            Route("/later", later),
            Route("/thing", Thing),
            WebSocketRoute("/echo/{room}", echo),
            Mount("/tree", routes=[Route("/leaf/{n}", leaf)]),
            Mount("/sub", Starlette(routes=[Route("/leaf/{n}", leaf)])),
            Mount("/raw", raw_app),
            Host("api.example", Starlette(routes=[Route("/leaf/{n}", leaf)])),
        ],
        exception_handlers={Handled: on_handled},
    )


def quart_app():
    from quart import Quart, request, websocket

    app = Quart("shop")

    @app.get("/items/<int:item_id>")
    async def item(item_id):
        child("inside")
        return {"id": item_id}

    @app.post("/items")
    async def create():
        body = await request.get_data()
        return body, 201

    @app.get("/sync")
    def sync():
        child("work in a thread")
        return "sync"

    @app.get("/boom")
    async def boom():
        raise Boom("out of order")

    @app.get("/handled")
    async def handled():
        raise Handled("known fault")

    @app.errorhandler(Handled)
    async def on_handled(error):
        return "sorry", 503

    @app.websocket("/echo/<room>")
    async def echo(room):
        while True:
            await websocket.send(await websocket.receive())

    return app


async def raw_app(scope, receive, send):
    """An ASGI app without a framework."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    path = scope["path"]
    if path.endswith("/boom"):
        raise Boom("out of order")
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    child("inside")
    status = int(path[-3:]) if path[-3:].isdigit() else 200
    headers = [
        (b"content-length", b"5"),
        (b"x-answer", b"one"),
        (b"x-answer", b"two"),
        (b"set-cookie", b"secret"),
    ]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    if path.endswith("/trailers"):
        start["trailers"] = True
    await send(start)
    await send({"type": "http.response.body", "body": b"hel", "more_body": True})
    await send({"type": "http.response.body", "body": b"lo"})
    if path.endswith("/trailers"):
        await send({"type": "http.response.trailers", "headers": []})
    if path.endswith("/late-boom"):
        raise Boom("after the answer")
    child("after the answer")


TRACEPARENT = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

FASTAPI = {
    "plain": http("GET", "/items/42", query=b"q=1&sig=abc"),
    "head": http("HEAD", "/items/42"),
    "thread": http("GET", "/sync/ada"),
    "parent": http("GET", "/items/42", headers=[TRACEPARENT]),
    "not_found": http("GET", "/nowhere"),
    "not_allowed": http("DELETE", "/items/42"),
    "odd_method": http("BREW", "/items/42"),
    "invalid": http("GET", "/items/many"),
    "body": http(
        "POST",
        "/items",
        headers=[(b"content-type", b"application/json"), (b"content-length", b"14")],
        chunks=[b'{"name": ', b'"bolt"}'],
    ),
    "boom": http("GET", "/boom"),
    "handled": http("GET", "/handled"),
    "teapot": http("GET", "/teapot"),
    "unwell": http("GET", "/unwell"),
    "stream": http("GET", "/stream"),
    "stream_24": http("GET", "/stream", spec_version="2.4"),
    "stream_boom": http("GET", "/stream-boom", spec_version="2.4"),
    "later": http("GET", "/later"),
    "needs": http("GET", "/needs"),
    "included": http("GET", "/api/v2/things/x"),
    "redirect": http("GET", "/items/42/"),
    "sub_app": http("GET", "/sub/parts/7"),
    "sub_starlette": http("GET", "/tree/leaf/7"),
    "sub_raw": http("GET", "/raw/x"),
    "root_path": http("GET", "/base/items/42", root_path="/base"),
    "bot": http("GET", "/items/42"),
    "socket": websocket("/echo/hall"),
    "socket_nowhere": websocket("/nothing"),
}
STARLETTE = {
    "plain": http("GET", "/items/42", query=b"q=1"),
    "head": http("HEAD", "/items/42"),
    "thread": http("GET", "/sync"),
    "parent": http("GET", "/items/42", headers=[TRACEPARENT]),
    "not_found": http("GET", "/nowhere"),
    "not_allowed": http("DELETE", "/items/42"),
    "odd_method": http("BREW", "/items/42"),
    "body": http("POST", "/items", headers=[(b"content-length", b"4")], chunks=[b"bo", b"lt"]),
    "boom": http("GET", "/boom"),
    "handled": http("GET", "/handled"),
    "teapot": http("GET", "/teapot"),
    "stream": http("GET", "/stream"),
    "later": http("GET", "/later"),
    "endpoint_class": http("GET", "/thing"),
    "mounted": http("GET", "/tree/leaf/7"),
    "sub_app": http("GET", "/sub/leaf/7"),
    "sub_raw": http("GET", "/raw/x"),
    "host": http("GET", "/leaf/9"),
    "socket": websocket("/echo/hall"),
}
ASGI = {
    "plain": http("GET", "/hello", query=b"q=caf%C3%A9&sig=abc"),
    "no_host": http("GET", "/hello", server=None),
    "no_client": http("GET", "/hello", client=None),
    "port_80": http("GET", "/hello", server=("shop.example", 80)),
    "unix": http("GET", "/hello", server=("/run/app.sock", None), client=("", 0)),
    "https": http("GET", "/hello", scheme="https", http_version="2"),
    "parent": http("GET", "/hello", headers=[TRACEPARENT]),
    "status_404": http("GET", "/404"),
    "status_500": http("GET", "/500"),
    "status_301": http("GET", "/301"),
    "odd_method": http("BREW", "/hello"),
    "body": http("POST", "/hello", headers=[(b"content-length", b"4")], body=b"bolt"),
    "trailers": http("GET", "/trailers"),
    "boom": http("GET", "/boom"),
    "late_boom": http("GET", "/late-boom"),
    "bot": http("GET", "/hello"),
    "socket": websocket("/echo"),
}
ASGI["bot"][0]["headers"] = [(b"host", b"shop.example:8000"), (b"user-agent", b"Googlebot/2.1")]
ASGI["no_host"][0]["headers"] = []
FASTAPI["bot"][0]["headers"] = [(b"host", b"shop.example:8000"), (b"user-agent", b"AlwaysOn")]
STARLETTE["host"][0]["headers"][0] = (b"host", b"api.example")

QUART = {
    "plain": http("GET", "/items/42"),
    "parent": http("GET", "/items/42", headers=[TRACEPARENT]),
    "thread": http("GET", "/sync"),
    "body": http("POST", "/items", headers=[(b"content-length", b"4")], chunks=[b"bo", b"lt"]),
    "not_found": http("GET", "/nowhere"),
    "not_allowed": http("DELETE", "/items/42"),
    "boom": http("GET", "/boom"),
    "handled": http("GET", "/handled"),
    "socket": websocket("/echo/hall"),
}

GROUPS = {
    "fastapi": (fastapi_app, FASTAPI),
    "fastapi_middleware": (
        fastapi_app_with_middleware,
        {
            "plain": http("GET", "/items/42"),
            "denied": http("GET", "/items/42", headers=[(b"x-deny", b"1")]),
            "boom": http("GET", "/boom"),
        },
    ),
    "starlette": (starlette_app, STARLETTE),
    "quart": (quart_app, QUART),
    "asgi": (lambda: served(raw_app), ASGI),
}


def child(name):
    """A span made by the app, with the API."""
    from opentelemetry import trace

    with trace.get_tracer("app").start_as_current_span(name):
        pass


def served(app):
    """The app as uvicorn calls it."""
    import uvicorn

    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    return config.loaded_app


async def main(group, *names):
    make, requests = GROUPS[group]
    app = make()
    for name in names or requests:
        scope, messages = requests[name]
        began = time.time_ns()
        sent, error = await call(app, scope, messages)
        ended = time.time_ns()
        starts = [message for message in sent if message["type"] == "http.response.start"]
        status = starts[0]["status"] if starts else None
        print(name, began, ended, status, repr(error), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
