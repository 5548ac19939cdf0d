"""A To-Do List that uses the OpenTelemetry API by hand, as the talk shows it."""

import logging
import os

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from opentelemetry import metrics, trace

tracer = trace.get_tracer("todo.tracer")
meter = metrics.get_meter("todo.meter")
added = meter.create_counter("todo.added", unit="{task}", description="Tasks that were added")

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("todo")

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['TODO_DB']}"
db = SQLAlchemy(app)


class Task(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(100), nullable=False)


with app.app_context():
    db.create_all()


@app.get("/")
def index():
    with tracer.start_as_current_span("query tasks") as span:
        tasks = Task.query.all()
        span.set_attribute("todo.count", len(tasks))
    logger.info("listed %d tasks", len(tasks))
    return "\n".join(task.title for task in tasks)


@app.post("/add")
def add():
    title = request.form["title"]
    with tracer.start_as_current_span("commit task", attributes={"todo.title": title}):
        db.session.add(Task(title=title))
        db.session.commit()
        logger.info("added %s", title)
    added.add(1, {"todo.length": len(title)})
    return "added\n", 201
