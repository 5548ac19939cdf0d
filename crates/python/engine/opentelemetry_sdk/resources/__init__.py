"""Resources: the attributes of the process that makes telemetry, and what detects them.

Under Carafe the launcher adds the resource of each process to what it
exports; this module is for code that asks for it, merges it or brings its own
detectors.
"""

import logging
import os
import platform
import socket
import subprocess
import sys
import threading
import uuid
from abc import ABC, abstractmethod
from json import dumps
from os import environ
from urllib.parse import unquote

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPERIMENTAL_RESOURCE_DETECTORS,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SERVICE_NAME,
)
from opentelemetry.sdk.version import __version__ as _OPENTELEMETRY_SDK_VERSION

from ._names import *  # noqa: F403  (the names are this module's public constants)
from ._names import (
    HOST_ARCH,
    HOST_ID,
    HOST_NAME,
    OS_TYPE,
    OS_VERSION,
    PROCESS_COMMAND,
    PROCESS_COMMAND_ARGS,
    PROCESS_COMMAND_LINE,
    PROCESS_EXECUTABLE_NAME,
    PROCESS_EXECUTABLE_PATH,
    PROCESS_OWNER,
    PROCESS_PARENT_PID,
    PROCESS_PID,
    PROCESS_RUNTIME_DESCRIPTION,
    PROCESS_RUNTIME_NAME,
    PROCESS_RUNTIME_VERSION,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    TELEMETRY_SDK_LANGUAGE,
    TELEMETRY_SDK_NAME,
    TELEMETRY_SDK_VERSION,
)

try:
    from collections.abc import Mapping

    from opentelemetry.util.types import AnyValue as LabelValue

    Attributes = Mapping[str, LabelValue]
except ImportError:  # an API without extended attribute values
    from opentelemetry.util.types import Attributes, AttributeValue as LabelValue

try:
    import psutil
except ImportError:
    psutil = None

try:
    import winreg
except ImportError:  # not Windows
    winreg = None

logger = logging.getLogger(__name__)

_DETECTOR_ENTRY_POINTS = "opentelemetry_resource_detector"

# How many detectors may work at the same time.
_MAX_DETECTOR_THREADS = 4


class Resource:
    """Attributes of what makes the telemetry, and the schema they follow. Immutable."""

    def __init__(self, attributes, schema_url=None):
        self._attributes = BoundedAttributes(attributes=attributes, immutable=True)
        self._schema_url = "" if schema_url is None else schema_url

    @staticmethod
    def create(attributes=None, schema_url=None):
        """The given attributes over what the configured detectors find. Not for detectors: they would recurse."""
        resource = get_aggregated_resources(_build_resource_detectors(), _DEFAULT_RESOURCE)
        resource = resource.merge(Resource(attributes or {}, schema_url))
        if not resource.attributes.get(SERVICE_NAME):
            name = "unknown_service"
            if sys.executable:
                name += ":" + os.path.basename(sys.executable)
            resource = resource.merge(Resource({SERVICE_NAME: name}, schema_url))
        return resource

    @staticmethod
    def get_empty():
        return _EMPTY_RESOURCE

    attributes = property(lambda self: self._attributes)
    schema_url = property(lambda self: self._schema_url)

    def merge(self, other):
        """Both resources' attributes, the other's winning.

        Two different schemas do not merge: that is logged and this resource stays as it is.
        """
        if self._schema_url and other.schema_url and self._schema_url != other.schema_url:
            logger.error(
                "Failed to merge resources: The two schemas %s and %s are incompatible",
                self._schema_url,
                other.schema_url,
            )
            return self
        return Resource(
            {**self._attributes, **other.attributes}, self._schema_url or other.schema_url
        )

    def __eq__(self, other):
        if not isinstance(other, Resource):
            return False
        return self._attributes == other._attributes and self._schema_url == other._schema_url

    def __hash__(self):
        attributes = dumps(dict(self._attributes), sort_keys=True, default=_json_default)
        return hash((attributes, self._schema_url))

    def to_json(self, indent=4):
        fields = {"attributes": dict(self._attributes), "schema_url": self._schema_url}
        return dumps(fields, indent=indent, default=_json_default)


def _json_default(value):
    """Bytes as hexadecimal digits, what else JSON lacks as text."""
    return value.hex() if isinstance(value, (bytes, bytearray)) else str(value)


_EMPTY_RESOURCE = Resource({})

_DEFAULT_RESOURCE = Resource(
    {
        TELEMETRY_SDK_LANGUAGE: "python",
        TELEMETRY_SDK_NAME: "opentelemetry",
        TELEMETRY_SDK_VERSION: _OPENTELEMETRY_SDK_VERSION,
    }
)


class ResourceDetector(ABC):
    """Finds a part of the resource. With `raise_on_error` a failure is the caller's, else it is logged."""

    def __init__(self, raise_on_error=False):
        self.raise_on_error = raise_on_error

    @abstractmethod
    def detect(self):
        """The part found, as a `Resource` (not by `Resource.create`, which would recurse)."""
        raise NotImplementedError

    def is_process_dependent(self):
        """Whether the answer differs in a forked child, so that it must be asked again there."""
        return False


class OTELResourceDetector(ResourceDetector):
    """What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say."""

    def detect(self):
        found = {}
        pairs = environ.get(OTEL_RESOURCE_ATTRIBUTES)
        for pair in pairs.split(",") if pairs else ():
            key, equals, value = pair.partition("=")
            if equals:
                found[key.strip()] = unquote(value.strip())
            else:
                logger.warning("Invalid key value resource attribute pair %r: no '=' in it", pair)
        service_name = environ.get(OTEL_SERVICE_NAME)
        if service_name:
            found[SERVICE_NAME] = service_name
        return Resource(found)


class ProcessResourceDetector(ResourceDetector):
    """The process and its interpreter.

    Arguments may hold secrets: they are in the resource only with `include_command_args`.
    """

    def __init__(self, raise_on_error=False, *, include_command_args=False):
        super().__init__(raise_on_error=raise_on_error)
        self._include_command_args = include_command_args

    def is_process_dependent(self):
        return True

    def detect(self):
        version = sys.version_info
        released = version.releaselevel == "final" and not version.serial
        # The interpreter's own arguments: sys.argv lacks `-m module`. CPython has them from 3.10.
        arguments = getattr(sys, "orig_argv", sys.argv)
        executable = sys.executable or ""
        found = {
            PROCESS_RUNTIME_DESCRIPTION: sys.version,
            PROCESS_RUNTIME_NAME: sys.implementation.name,
            PROCESS_RUNTIME_VERSION: ".".join(
                str(part) for part in (version[:3] if released else version)
            ),
            PROCESS_PID: os.getpid(),
            PROCESS_EXECUTABLE_NAME: os.path.basename(executable),
            PROCESS_EXECUTABLE_PATH: executable,
            PROCESS_COMMAND: arguments[0] if arguments else "",
        }
        if self._include_command_args:
            found[PROCESS_COMMAND_LINE] = " ".join(arguments)
            found[PROCESS_COMMAND_ARGS] = list(arguments)
        if hasattr(os, "getppid"):
            found[PROCESS_PARENT_PID] = os.getppid()
        if psutil is not None:
            found[PROCESS_OWNER] = psutil.Process().username()
        return Resource(found)


class OsResourceDetector(ResourceDetector):
    """`os.type` and `os.version`, as the semantic conventions name systems."""

    def detect(self):
        system = platform.system().lower()
        # Windows and Solaris have the number that people know in `version`.
        version = platform.version() if system in ("windows", "sunos") else platform.release()
        return Resource({OS_TYPE: "solaris" if system == "sunos" else system, OS_VERSION: version})


# Where the semantic conventions for hosts say that an unprivileged process finds the host's id.
_LINUX_MACHINE_ID_PATHS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_BSD_HOSTID_PATH = "/etc/hostid"
_BSD_KENV_COMMAND = ("/bin/kenv", "-q", "smbios.system.uuid")
_MACOS_IOREG_COMMAND = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
_WINDOWS_MACHINE_GUID = (r"SOFTWARE\Microsoft\Cryptography", "MachineGuid")

# Less than a detector has, so that a command that hangs costs only the id.
_COMMAND_TIMEOUT_SECONDS = 2


def _read_machine_id_file(path):
    try:
        with open(path, encoding="utf8") as file:
            return file.read().strip() or None
    except OSError as error:
        logger.debug("Failed to read %s: %s", path, error)
        return None


def _run_command(command):
    """What the command prints; nothing where it is missing or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_SECONDS, check=True
        )
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        logger.debug("Failed to run %s: %s", command[0], error)
        return ""
    return done.stdout


def _get_linux_machine_id():
    return next(filter(None, map(_read_machine_id_file, _LINUX_MACHINE_ID_PATHS)), None)


def _get_bsd_machine_id():
    return (
        _read_machine_id_file(_BSD_HOSTID_PATH) or _run_command(_BSD_KENV_COMMAND).strip() or None
    )


def _get_macos_machine_id():
    # The line in question: "IOPlatformUUID" = "0F1E..."
    pairs = (line.partition("=") for line in _run_command(_MACOS_IOREG_COMMAND).splitlines())
    ids = (value.strip(' "') for key, _, value in pairs if key.strip(' "') == "IOPlatformUUID")
    return next(filter(None, ids), None)


def _get_windows_machine_id():
    if winreg is None:
        return None
    path, name = _WINDOWS_MACHINE_GUID
    access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, access=access) as key:
        value, _type = winreg.QueryValueEx(key, name)
    return str(value) if value else None


def _get_host_id():
    system = platform.system()
    if system == "Linux":
        return _get_linux_machine_id()
    if system == "Darwin":
        return _get_macos_machine_id()
    if system == "Windows":
        return _get_windows_machine_id()
    if system == "DragonFly" or system.endswith("BSD"):
        return _get_bsd_machine_id()
    logger.debug("no source of %s is known on %s", HOST_ID, system)
    return None


class _HostResourceDetector(ResourceDetector):
    """Name, architecture and, where it can be read, id of the host."""

    def detect(self):
        found = {HOST_NAME: socket.gethostname(), HOST_ARCH: platform.machine()}
        try:
            host_id = _get_host_id()
            if host_id:
                found[HOST_ID] = host_id
        except Exception as error:  # the rest stands without the id
            logger.warning("Failed to detect %s: %s", HOST_ID, error)
            if self.raise_on_error:
                raise
        return Resource(found)


_service_instance_id = None
_service_instance_id_pid = None
_service_instance_id_lock = threading.Lock()


class ServiceInstanceIdResourceDetector(ResourceDetector):
    """`service.instance.id`: a random UUID, one per process, a new one in a forked child."""

    def is_process_dependent(self):
        return True

    def detect(self):
        global _service_instance_id, _service_instance_id_pid
        with _service_instance_id_lock:
            pid = os.getpid()
            if _service_instance_id is None or _service_instance_id_pid != pid:
                _service_instance_id, _service_instance_id_pid = str(uuid.uuid4()), pid
            return Resource({SERVICE_INSTANCE_ID: _service_instance_id})


def _renew_lock_in_child():
    global _service_instance_id_lock
    _service_instance_id_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock_in_child)


def _build_resource_detectors():
    """The detectors of `Resource.create`, in the order of merging.

    The instance id comes first and the environment last, so that it wins,
    unless OTEL_EXPERIMENTAL_RESOURCE_DETECTORS places them itself.
    """
    names = [
        name.strip() for name in environ.get(OTEL_EXPERIMENTAL_RESOURCE_DETECTORS, "").split(",")
    ]
    names = list(dict.fromkeys(filter(None, names)))
    if "service_instance" not in names:
        names.insert(0, "service_instance")
    if "otel" not in names:
        names.append("otel")
    if names == ["service_instance", "otel"]:  # without reading the metadata of every distribution
        return [ServiceInstanceIdResourceDetector(), OTELResourceDetector()]

    from opentelemetry.util._importlib_metadata import entry_points

    if "*" in names:
        every = set(entry_points(group=_DETECTOR_ENTRY_POINTS).names) - set(names) - {"otel"}
        place = names.index("*")
        names[place : place + 1] = sorted(every)
    detectors = []
    for name in names:
        try:
            entry_point = next(iter(entry_points(group=_DETECTOR_ENTRY_POINTS, name=name)))
            detectors.append(entry_point.load()())
        except Exception:  # one missing detector does not cost the others' attributes
            logger.exception("Failed to load resource detector '%s', skipping", name)
    return detectors


def _get_process_dependent_resource():
    """What the configured detectors say anew in a forked child."""
    detectors = [
        detector for detector in _build_resource_detectors() if detector.is_process_dependent()
    ]
    return get_aggregated_resources(detectors, Resource.get_empty())


# These answer at once and start no thread.
_IMMEDIATE = (
    OTELResourceDetector,
    ServiceInstanceIdResourceDetector,
    ProcessResourceDetector,
    OsResourceDetector,
)


def get_aggregated_resources(detectors, initial_resource=None, timeout=5):
    """`initial_resource` (else `Resource.create()`) with what each detector finds merged over it, in order.

    A detector that takes longer than `timeout` seconds is left out, with a warning.
    """
    resource = initial_resource or Resource.create()
    if all(type(detector) in _IMMEDIATE for detector in detectors):
        for detector in detectors:
            resource = resource.merge(_answer(detector, detector.detect, timeout))
        return resource

    from concurrent.futures import ThreadPoolExecutor

    executor = ThreadPoolExecutor(max_workers=_MAX_DETECTOR_THREADS)
    try:
        for detector, future in [
            (detector, executor.submit(detector.detect)) for detector in detectors
        ]:
            resource = resource.merge(
                _answer(detector, lambda future=future: future.result(timeout=timeout), timeout)
            )
    finally:
        # No thread outlives this call.
        executor.shutdown(wait=True, cancel_futures=True)
    return resource


def _answer(detector, ask, timeout):
    """What a detector found; nothing, and a warning, where it failed and does not want that raised."""
    from concurrent.futures import TimeoutError as Late

    try:
        return ask()
    except Late:
        if detector.raise_on_error:
            raise
        logger.warning("Detector %s took longer than %s seconds, skipping", detector, timeout)
    except Exception as error:
        if detector.raise_on_error:
            raise
        logger.warning("Exception %s in detector %s, ignoring", error, detector)
    return _EMPTY_RESOURCE
