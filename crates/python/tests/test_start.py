"""What an app with nothing in it gets from the engine."""


def test_a_program_announces_itself_and_writes_nothing_else(run_app):
    result = run_app("print('hello')")
    assert result.stdout == "hello\n"
    assert result.stderr == ""
    assert [process["parent_pid"] > 0 for process in result.processes] == [True]
    assert (result.spans, result.logs) == ([], [])
    # The collector's own metrics come at the end.
    runtime = "opentelemetry.instrumentation.system_metrics"
    assert {item["scope"]["name"] for item in result.measurements} <= {runtime}
    assert result.dropped == 0


def test_without_a_ring_directory_the_engine_stays_off(run_app):
    result = run_app(
        """
        import sys
        native = sys.modules.get("carafe_engine._native")
        print(native is not None and native.is_on())
        """,
        env={"CARAFE_RING_DIR": None},
    )
    assert result.stdout == "False\n"
    assert result.processes == []


def test_native_spans_logs_and_metrics_arrive_whole(run_app):
    result = run_app(
        """
        from carafe_engine import _native
        tracer = _native.provider().tracer("scope", "1")
        with tracer.start_as_current_span("outer", kind=1, attributes={"a": 1, "b": ["x", "y"]}):
            span = tracer.start_span("inner")
            span.set_attribute("c", 0.5)
            span.add_event("happened", {"d": True})
            span.end()
            meter = _native.meter("scope")
            meter.instrument(0, "count", "{thing}").add(2, {"k": "v"})
            meter.instrument(2, "size", "By", "how big", [1.0, 2.0]).record(1.5)
            logger = _native.logger("scope")
            logger.emit_fields(1, 2, 9, "INFO", "body", {"e": 1}, None, None)
        """
    )
    outer, inner = result.span("outer"), result.span("inner")
    assert outer["kind"] == "SERVER"
    assert outer["attributes"] == {"a": 1, "b": ["x", "y"]}
    assert outer["scope"] == {"name": "scope", "version": "1", "attributes": {}, "schema_url": ""}
    assert outer["parent_id"] is None
    assert outer["start_ns"] <= inner["start_ns"] <= inner["end_ns"] <= outer["end_ns"]
    assert result.children(outer) == [inner]
    assert inner["attributes"] == {"c": 0.5}
    assert inner["events"][0]["attributes"] == {"d": True}

    (count,) = result.metric("count")
    assert (count["kind"], count["unit"], count["value"]) == ("counter", "{thing}", 2)
    assert count["attributes"] == {"k": "v"}
    (size,) = result.metric("size")
    assert (size["kind"], size["boundaries"], size["value"]) == ("histogram", [1.0, 2.0], 1.5)
    assert size["span"]["span_id"] == outer["span_id"]

    (record,) = result.logs
    assert (record["body"], record["severity_number"], record["time_ns"]) == ("body", 9, 1)
    assert record["attributes"] == {"e": 1}
    assert (record["trace_id"], record["span_id"]) == (outer["trace_id"], outer["span_id"])


def test_what_was_written_survives_a_kill(run_app):
    result = run_app(
        """
        import os, signal
        from carafe_engine import _native
        tracer = _native.provider().tracer("scope")
        for number in range(100):
            tracer.start_span(f"span {number}").end()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        check=False,
    )
    assert result.returncode == -9
    assert result.span_names() == [f"span {number}" for number in range(100)]


def test_a_fork_gets_a_ring_of_its_own(run_app):
    result = run_app(
        """
        import os
        from carafe_engine import _native
        tracer = _native.provider().tracer("scope")
        tracer.start_span("before").end()
        with tracer.start_as_current_span("outer"):
            child = os.fork()
            tracer.start_span("child" if child == 0 else "parent").end()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        """
    )
    assert len(result.processes) == 2
    assert len({process["pid"] for process in result.processes}) == 2
    assert result.span("child")["pid"] != result.span("outer")["pid"]
    assert result.span("child")["parent_id"] == result.span("outer")["span_id"]
    assert sorted(result.span_names()) == ["before", "child", "outer", "parent"]
