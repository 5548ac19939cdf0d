"""Every way in which a Python process gets children: each writes into a ring of its own, and
what it writes belongs to the trace that its parent passed on, where it passed one on."""

import pytest

COUNT_IN_CHILD = """
    from opentelemetry import metrics, trace

    tracer = trace.get_tracer("app")
    counter = metrics.get_meter("app").create_counter("work")


    def work(number):
        with tracer.start_as_current_span(f"work {number}"):
            counter.add(1, {"number": number})
        return number
"""


def check_work(result, expected, parent):
    """Each piece of work once in spans and measurements, none of it in the parent's ring."""
    assert sorted(result.span_names()) == sorted([f"work {n}" for n in expected] + [parent])
    assert sorted(item["attributes"]["number"] for item in result.metric("work")) == expected
    main = result.span(parent)
    for number in expected:
        assert result.span(f"work {number}")["pid"] != main["pid"]
    pids = [process["pid"] for process in result.processes]
    assert len(set(pids)) == len(pids)
    assert {item["pid"] for item in result.spans} <= set(pids)
    assert result.dropped == 0


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(run_app, method):
    result = run_app(
        COUNT_IN_CHILD
        + f"""
    if __name__ == "__main__":
        import multiprocessing

        with tracer.start_as_current_span("main"):
            context = multiprocessing.get_context("{method}")
            children = [context.Process(target=work, args=(number,)) for number in range(4)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            print([child.exitcode for child in children])
    """
    )
    assert result.stdout == "[0, 0, 0, 0]\n"
    check_work(result, [0, 1, 2, 3], "main")
    if method == "fork":
        # The context is part of the memory that is copied.
        main = result.span("main")
        assert {span["parent_id"] for span in result.spans} == {None, main["span_id"]}


def test_a_pool_of_processes(run_app):
    result = run_app(
        COUNT_IN_CHILD
        + """
    if __name__ == "__main__":
        from concurrent.futures import ProcessPoolExecutor

        with tracer.start_as_current_span("main"):
            with ProcessPoolExecutor(2) as pool:
                print(sum(pool.map(work, range(20))))
    """
    )
    assert result.stdout == "190\n"
    check_work(result, list(range(20)), "main")


def test_a_fork_in_a_fork(run_app):
    result = run_app(
        COUNT_IN_CHILD
        + """
    import os

    with tracer.start_as_current_span("main"):
        for number in range(2):
            child = os.fork()
            if child == 0:
                work(number)
                grandchild = os.fork()
                if grandchild == 0:
                    work(number + 10)
                    os._exit(0)
                os.waitpid(grandchild, 0)
                os._exit(0)
            os.waitpid(child, 0)
    """
    )
    check_work(result, [0, 1, 10, 11], "main")
    assert len(result.processes) == 5


def test_a_fork_from_a_thread_while_others_write(run_app):
    result = run_app(
        COUNT_IN_CHILD
        + """
    import os
    import threading

    stop = threading.Event()


    def write():
        while not stop.is_set():
            tracer.start_span("noise").end()


    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            work(number)
            os._exit(0)
        codes.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    print(set(codes))
    """
    )
    assert result.stdout == "{0}\n"
    names = [name for name in result.span_names() if name != "noise"]
    assert sorted(names) == sorted(f"work {number}" for number in range(20))


def test_another_program(run_app):
    """`subprocess` starts a Python that finds the engine by its environment."""
    result = run_app(
        """
        import subprocess
        import sys
        from opentelemetry import trace

        with trace.get_tracer("app").start_as_current_span("main"):
            code = "from opentelemetry import trace; trace.get_tracer('app').start_span('below').end()"
            subprocess.run([sys.executable, "-c", code], check=True)
            subprocess.run(["/bin/true"], check=True)
        """
    )
    assert sorted(result.span_names()) == ["below", "main"]
    assert len(result.processes) == 2


def test_exec_in_place(run_app):
    """The same process id, another program: two rings, and nothing of the first is lost."""
    result = run_app(
        """
        import os
        import sys
        from opentelemetry import trace

        trace.get_tracer("app").start_span("before").end()
        code = "from opentelemetry import trace; trace.get_tracer('app').start_span('after').end()"
        os.execv(sys.executable, [sys.executable, "-c", code])
        """
    )
    assert sorted(result.span_names()) == ["after", "before"]
    assert len(result.processes) == 2


def test_celery_prefork(run_app):
    """Tasks run in the worker's children and go on with the traces of who sent them."""
    result = run_app(
        """
        import os
        import subprocess
        import sys

        from celery import Celery
        from opentelemetry import trace

        here = os.getcwd()
        for name in ("in", "done", "results"):
            os.makedirs(name, exist_ok=True)
        app = Celery("app", broker="filesystem://", backend=f"file://{here}/results")
        app.conf.broker_transport_options = {
            "data_folder_in": f"{here}/in",
            "data_folder_out": f"{here}/in",
            "processed_folder": f"{here}/done",
        }


        @app.task(name="add")
        def add(a, b):
            with trace.get_tracer("app").start_as_current_span("adding"):
                return a + b


        if __name__ == "__main__":
            words = ["-A", "app", "worker", "--pool", "prefork", "-c", "2", "--loglevel", "ERROR"]
            words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            worker = subprocess.Popen([sys.executable, "-m", "celery", *words])
            try:
                with trace.get_tracer("app").start_as_current_span("main"):
                    results = [add.delay(number, 1) for number in range(6)]
                print([result.get(timeout=60) for result in results])
            finally:
                worker.terminate()
                worker.wait(30)
        """,
        timeout=120,
    )
    assert result.stdout.endswith("[1, 2, 3, 4, 5, 6]\n")
    main = result.span("main")
    sent = [span for span in result.spans if span["kind"] == "PRODUCER"]
    ran = [span for span in result.spans if span["kind"] == "CONSUMER"]
    adding = [span for span in result.spans if span["name"] == "adding"]
    assert (len(sent), len(ran), len(adding)) == (6, 6, 6)
    assert {span["parent_id"] for span in sent} == {main["span_id"]}
    assert {span["trace_id"] for span in ran} == {main["trace_id"]}
    assert {span["parent_id"] for span in ran} == {span["span_id"] for span in sent}
    assert {span["parent_id"] for span in adding} == {span["span_id"] for span in ran}
    assert {span["pid"] for span in ran}.isdisjoint({main["pid"]})
