"""The contract of README.md in Flask, for its own server and for gunicorn."""

from flask import Flask

app = Flask(__name__)


@app.get("/items/<int:number>")
def read(number):
    return f"item {number}\n"


@app.post("/items/<int:number>")
def create(number):
    return f"made {number}\n", 201
