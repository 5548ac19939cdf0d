"""The contract of README.md as a plain ASGI application."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    found = scope["path"].startswith("/items/")
    status = {"GET": 200, "POST": 201}[scope["method"]] if found else 404
    body = f"{scope['path']}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
