"""Code that apps in the tests of WSGI start with: requests without a server.

`DRIVER` is the source; it defines `environ`, `call` and `Body`.
"""

import textwrap

DRIVER = textwrap.dedent(
    '''
    import io
    import sys


    def environ(target="/", method="GET", **more):
        """A request as gunicorn gives it; None takes an entry away."""
        path, _, query = target.partition("?")
        entries = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "RAW_URI": target,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "5000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost:5000",
            "HTTP_USER_AGENT": "curl/8",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "54321",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        entries.update(more)
        return {key: value for key, value in entries.items() if value is not None}


    def call(app, entries):
        """One request as a server makes it: the status line and the body, or the exception."""
        begun = []

        def start_response(status, headers, exc_info=None):
            begun.append((status, headers))
            return begun.append

        try:
            body = app(entries, start_response)
            try:
                content = b"".join(body)
            finally:
                if hasattr(body, "close"):
                    body.close()
        except Exception as error:
            return error
        assert "carafe.request" not in entries
        return begun[-1][0], content, begun[-1][1]
    '''
)

#: What `environ` without arguments gives in the old conventions, and in the stable ones.
OLD = {
    "http.method": "GET",
    "http.server_name": "127.0.0.1",
    "http.scheme": "http",
    "net.host.name": "localhost:5000",
    "http.host": "localhost:5000",
    "net.host.port": 5000,
    "http.target": "/",
    "net.peer.ip": "127.0.0.1",
    "net.peer.port": 54321,
    "http.user_agent": "curl/8",
    "http.flavor": "1.1",
}
NEW = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "server.address": "localhost:5000",
    "server.port": 5000,
    "url.path": "/",
    "client.address": "127.0.0.1",
    "client.port": 54321,
    "user_agent.original": "curl/8",
    "network.protocol.version": "1.1",
}

#: What the old metrics have of such a request.
OLD_ACTIVE = {
    "http.method": "GET",
    "http.server_name": "127.0.0.1",
    "http.scheme": "http",
    "http.host": "localhost:5000",
    "http.flavor": "1.1",
}
OLD_DURATION = {**OLD_ACTIVE, "net.host.name": "localhost:5000", "net.host.port": 5000}
NEW_ACTIVE = {"http.request.method": "GET", "url.scheme": "http"}
NEW_DURATION = {**NEW_ACTIVE, "network.protocol.version": "1.1"}

NEW_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
