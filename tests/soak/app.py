"""An app that does a bit of everything, and fails at some of it. `GET /census` counts what a
leak would leave behind."""

import asyncio
import gc
import logging
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Flask, Response, abort, render_template_string, request
from flask_sqlalchemy import SQLAlchemy
from opentelemetry import metrics, trace

tracer = trace.get_tracer("soak")
counter = metrics.get_meter("soak").create_counter("soak.work")
logger = logging.getLogger("soak")
logger.setLevel(logging.INFO)
logger.addHandler(logging.NullHandler())
logger.propagate = True
pool = ThreadPoolExecutor(4)

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['SOAK_DB']}"
db = SQLAlchemy(app)


class Task(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(100), nullable=False)


with app.app_context():
    db.create_all()
    for number in range(10):
        db.session.add(Task(title=f"task {number}"))
    db.session.commit()


@app.get("/page")
def page():
    tasks = Task.query.all()
    return render_template_string(
        "{% for task in tasks %}{{ task.title }} {% endfor %}", tasks=tasks
    )


@app.get("/spans/<int:number>")
def spans(number):
    with tracer.start_as_current_span("outer", attributes={"number": number}) as span:
        for index in range(5):
            with tracer.start_as_current_span(f"inner {index}"):
                counter.add(1, {"index": index})
        span.add_event("done", {"spans": 5})
    logger.info("made %d spans", 5, extra={"number": number})
    return "spans"


@app.get("/error")
def error():
    try:
        with tracer.start_as_current_span("fails"):
            raise KeyError("lost")
    except KeyError:
        logger.exception("it failed")
    raise ValueError("nobody handles this")


@app.get("/sqlerror")
def sqlerror():
    try:
        sqlite3.connect(":memory:").execute("SELECT * FROM nothing")
    except sqlite3.Error:
        return "no such table", 500


@app.get("/abort")
def aborted():
    abort(418)


@app.get("/stream")
def stream():
    return Response((f"{number}\n" for number in range(20)), mimetype="text/plain")


@app.get("/threads")
def threads():
    def work():
        with tracer.start_as_current_span("in a thread"):
            return 1

    thread = threading.Thread(target=work)
    thread.start()
    results = [pool.submit(work) for _ in range(3)]
    thread.join()
    return str(sum(result.result() for result in results))


@app.get("/asyncio")
def loop():
    async def work(number):
        with tracer.start_as_current_span(f"task {number}"):
            await asyncio.sleep(0)

    async def all_of_them():
        await asyncio.gather(*(work(number) for number in range(5)))

    asyncio.run(all_of_them())
    return "awaited"


@app.get("/client")
def client():
    return requests.get(f"{request.host_url}ping", timeout=10).text


@app.get("/refused")
def refused():
    try:
        requests.get("http://127.0.0.1:1/", timeout=1)
    except requests.ConnectionError:
        return "refused"


@app.get("/ping")
def ping():
    return "pong"


@app.get("/census")
def census():
    gc.collect()
    return {
        "objects": len(gc.get_objects()),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "current": str(trace.get_current_span().get_span_context().is_valid),
    }


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(port=int(os.environ["PORT"]), threaded=True)
