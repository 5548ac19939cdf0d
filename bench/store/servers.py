"""The servers that are compared: how each starts, where it listens, what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent
START_DEADLINE_S = 120.0

#: Zipkin keeps spans on its heap.
ZIPKIN_HEAP = "6g"
ZIPKIN_MAX_SPANS = 1_500_000
#: So that nobody drops by age what is measured.
RETENTION_DAYS = 30


class Server:
    """One server with a data directory of its own, started and stopped at will."""

    name = ""
    #: What an acknowledged span survives, with the settings used here.
    durability = ""
    #: The largest number of spans it can hold.
    max_spans: int | None = None
    #: Path of the Jaeger query API, where there is one.
    jaeger_path: str | None = ""
    #: Whether it tells amount and latency over time.
    has_red = False
    process: subprocess.Popen[str] | None = None

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.data.mkdir(parents=True)
        self.environment = environment
        self.query_port = machine.free_port()
        self.otlp_port = machine.free_port()
        self.otlp_url = f"http://127.0.0.1:{self.otlp_port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def ready_path(self) -> str:
        return f"{self.jaeger_path}/api/services"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.query_port}{path}"

    def start(self) -> float:
        """Starts it and waits for the first answer; gives the seconds until then."""
        started = time.monotonic()
        self._messages = open(self.directory / "messages", "a+")
        self.process = machine.start(
            self.command(),
            None,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
            env=self.environment,
        )
        while True:
            try:
                with urllib.request.urlopen(self.url(self.ready_path()), timeout=30) as answer:
                    answer.read()
                    return time.monotonic() - started
            except (OSError, urllib.error.HTTPError):
                if time.monotonic() - started > START_DEADLINE_S or self.process.poll() is not None:
                    raise RuntimeError(f"{self.name} does not start: {self.messages()}") from None
                time.sleep(0.01)

    def messages(self) -> str:
        return (self.directory / "messages").read_text(errors="replace")[-3000:]

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def stop(self) -> None:
        if self.process:
            machine.stop(self.process)
            self.process = None
            self._messages.close()

    def red_url(self, service: str, start_us: int, end_us: int) -> str | None:
        """Amount, errors and percentiles of one service over time, in about 60 points."""
        del service, start_us, end_us
        return None


class Carafe(Server):
    name = "Carafe"
    durability = "fdatasync before the acknowledgement"
    has_red = True

    def command(self) -> list[str]:
        return [
            self.environment["CARAFE"],
            *("up", "--data-dir", str(self.data), "--retention-age", f"{RETENTION_DAYS}d"),
            *("--retention-size", "1000GB", "--query", f"127.0.0.1:{self.query_port}"),
            *("--otlp-http", f"127.0.0.1:{self.otlp_port}", "--otlp-grpc", "127.0.0.1:0"),
            *("--telemetry", "127.0.0.1:0"),
        ]

    def version(self) -> str:
        return machine.version([self.environment["CARAFE"], "--version"])

    def red_url(self, service: str, start_us: int, end_us: int) -> str:
        query = urllib.parse.urlencode({"service": service, "start": start_us, "end": end_us})
        return self.url(f"/api/carafe/v1/red?{query}")


class Jaeger(Server):
    name = "Jaeger + Badger"
    durability = "none: answered before the write; Badger does not sync (its default)"

    def command(self) -> list[str]:
        config = {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {
                    "traces": {
                        "receivers": ["otlp"],
                        "processors": ["batch"],
                        "exporters": ["jaeger_storage_exporter"],
                    }
                },
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            },
            "extensions": {
                "jaeger_storage": {
                    "backends": {
                        "badger": {
                            "badger": {
                                "directories": {
                                    "keys": f"{self.data}/keys",
                                    "values": f"{self.data}/values",
                                },
                                "ephemeral": False,
                                "ttl": {"spans": f"{RETENTION_DAYS * 24}h"},
                            }
                        }
                    }
                },
                "jaeger_query": {
                    "storage": {"traces": "badger"},
                    "enable_tracing": False,
                    "http": {"endpoint": f"127.0.0.1:{self.query_port}"},
                    "grpc": {"endpoint": "127.0.0.1:0"},
                },
            },
            "receivers": {
                "otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.otlp_port}"}}}
            },
            "processors": {"batch": None},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "badger"}},
        }
        path = self.directory / "jaeger.json"
        path.write_text(json.dumps(config))
        return [self.environment["JAEGER"], "--config", f"file:{path}"]

    def version(self) -> str:
        return self.environment.get("JAEGER_VERSION") or machine.version(
            [self.environment["JAEGER"], "version"]
        )


class VictoriaTraces(Server):
    name = "VictoriaTraces"
    durability = "none for 5 s (its default): in memory until then"
    jaeger_path = "/select/jaeger"
    has_red = True

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        super().__init__(directory, environment)
        self.otlp_url = self.url("/insert/opentelemetry")

    def command(self) -> list[str]:
        return [
            self.environment["VICTORIA_TRACES"],
            f"-httpListenAddr=127.0.0.1:{self.query_port}",
            f"-storageDataPath={self.data}",
            f"-retentionPeriod={RETENTION_DAYS}d",
            "-loggerLevel=WARN",
        ]

    def version(self) -> str:
        return self.environment.get("VICTORIA_TRACES_VERSION") or machine.version(
            [self.environment["VICTORIA_TRACES"], "-version"]
        )

    def red_url(self, service: str, start_us: int, end_us: int) -> str:
        step_s = max(1, (end_us - start_us) // 60_000_000)
        quantiles = ", ".join(f"quantile({phi}, duration) p{phi}" for phi in (0.5, 0.95, 0.99))
        query = (
            f'{{"resource_attr:service.name"="{service}"}} '
            f"| stats count() spans, count() if (status_code:=2) errors, {quantiles}"
        )
        parameters = {
            "query": query,
            "start": start_us / 1e6,
            "end": end_us / 1e6,
            "step": f"{step_s}s",
        }
        query = urllib.parse.urlencode(parameters)
        return self.url(f"/select/logsql/stats_query_range?{query}")


class Zipkin(Server):
    name = "Zipkin in memory"
    durability = "none: memory only"
    max_spans = 1_000_000
    jaeger_path = None
    _gate: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        return [
            *("java", f"-Xmx{ZIPKIN_HEAP}", "-jar", self.environment["ZIPKIN"]),
            f"--armeria.ports[0].port={self.query_port}",
            "--armeria.ports[0].ip=127.0.0.1",
            "--armeria.ports[0].protocols[0]=http",
            f"--zipkin.storage.mem.max-spans={ZIPKIN_MAX_SPANS}",
            "--zipkin.query.lookback=2592000000",
            "--logging.level.root=WARN",
        ]

    def start(self) -> float:
        seconds = super().start()
        # It has no OTLP: a gate translates, and answers when Zipkin has.
        command = [sys.executable, str(HERE / "zipkin_gate.py")]
        command += [str(self.otlp_port), str(self.query_port)]
        self._gate = machine.start(command, None, stdout=subprocess.PIPE)
        assert self._gate.stdout
        self._gate.stdout.readline()
        return seconds

    def stop(self) -> None:
        if self._gate:
            machine.stop(self._gate)
            self._gate = None
        super().stop()

    def ready_path(self) -> str:
        return "/api/v2/services"

    def version(self) -> str:
        return Path(self.environment["ZIPKIN"]).stem


#: Each with the variable that names its program.
SERVERS: dict[type[Server], str] = {
    Carafe: "CARAFE",
    VictoriaTraces: "VICTORIA_TRACES",
    Jaeger: "JAEGER",
    Zipkin: "ZIPKIN",
}
