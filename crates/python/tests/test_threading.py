"""Threads and executors continue in the context of those who start them."""

PRELUDE = """
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from carafe_engine import _native

tracer = _native.provider().tracer("app")

def work(name):
    with tracer.start_as_current_span(name):
        return threading.current_thread().name
"""


def parents(result):
    names = {span["span_id"]: span["name"] for span in result.spans}
    return {span["name"]: names.get(span["parent_id"]) for span in result.spans}


def test_threads_and_timers(run_app):
    result = run_app(
        PRELUDE
        + """
class Own(threading.Thread):
    def run(self):
        work("own run")

class Super(threading.Thread):
    def run(self):
        super().run()

with tracer.start_as_current_span("outer"):
    threads = [
        threading.Thread(target=work, args=("thread",)),
        threading.Timer(0, work, ("timer",)),
        Super(target=work, args=("super",)),
        Own(),
    ]
    for thread in threads:
        thread.start()
late = threading.Thread(target=work, args=("late",))
late.start()
threads.append(late)
for thread in threads:
    thread.join()
    assert type(thread) is Own or not [name for name in vars(thread) if "carafe" in name]
assert _native.current() is None
"""
    )
    assert parents(result) == {
        "outer": None,
        "thread": "outer",
        "timer": "outer",
        "super": "outer",
        # As under the official package: its own `run` may serve others than who started it.
        "own run": None,
        "late": None,
    }


def test_executors_give_each_task_its_callers_context(run_app):
    result = run_app(
        PRELUDE
        + """
def fails():
    raise ValueError("expected")

with ThreadPoolExecutor(1) as pool:
    with tracer.start_as_current_span("first"):
        names = {pool.submit(work, "in first").result()}
        list(pool.map(work, ["mapped"]))
    with tracer.start_as_current_span("second"):
        names.add(pool.submit(work, name="in second").result())
        assert isinstance(pool.submit(fails).exception(), ValueError)
    names.add(pool.submit(work, "alone").result())
    assert len(names) == 1
"""
    )
    assert parents(result) == {
        "first": None,
        "second": None,
        "in first": "first",
        "mapped": "first",
        "in second": "second",
        "alone": None,
    }


def test_asyncio_carries_the_context(run_app):
    result = run_app(
        """
        import asyncio
        """
        + PRELUDE.replace("\n", "\n        ")
        + """
        async def child(name):
            await asyncio.sleep(0)
            work(name)

        async def main():
            loop = asyncio.get_running_loop()
            with tracer.start_as_current_span("outer"):
                task = asyncio.create_task(child("task"))
                await asyncio.gather(child("gathered"), task)
                await asyncio.to_thread(work, "to_thread")
                await loop.run_in_executor(None, work, "executor")
                done = loop.create_future()
                loop.call_soon(lambda: done.set_result(work("soon")))
                await done
            await child("after")

        asyncio.run(main())
        """
    )
    assert parents(result) == {
        "outer": None,
        "task": "outer",
        "gathered": "outer",
        "to_thread": "outer",
        "executor": "outer",
        "soon": "outer",
        "after": None,
    }


def test_disabled(run_app):
    result = run_app(
        PRELUDE
        + """
with tracer.start_as_current_span("outer"):
    thread = threading.Thread(target=work, args=("thread",))
    thread.start()
    thread.join()
with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("other"):
    pool.submit(work, "task").result()
""",
        env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "threading"},
    )
    assert parents(result)["thread"] is None
    assert parents(result)["task"] is None


def test_processes_are_left_alone(run_app):
    result = run_app(
        """
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            from carafe_engine import _native

            tracer = _native.provider().tracer("app")
            with tracer.start_as_current_span("outer"):
                with ProcessPoolExecutor(1) as pool:
                    assert pool.submit(abs, -7).result() == 7
        """
    )
    assert result.span_names() == ["outer"]
