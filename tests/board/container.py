"""The board of the test: a minimal Debian, the package installed in it, booted in a container.

Lives here: debootstrap (cached), the overlay over it, installing, booting, asking, ending.  May not
live here: what is expected of it.  The run directory is a folder of the host's memory, bound into
the container, so that the room's truth outlives a container that is killed.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / "out" / "cache" / "board"
WORK: Final = ROOT / "out" / "board"
BENCH: Final = Path(__file__).with_name("bench")
MIRROR: Final = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PACKAGES: Final = "systemd,systemd-sysv,dbus,python3,libpam-systemd,procps,mosquitto"
TOOLS: Final = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap"}
BOOT_MAX_S: Final = 30.0
COMMAND_MAX_S: Final = 120.0
CAP_SYS_RESOURCE: Final = 24
IN_CONTAINER: Final = ("-m", "-p", "-i", "-u", "-n")


class CannotBoot(Exception):
    """This machine cannot boot a container; the words say why."""


def run(*words: str, seconds: float = COMMAND_MAX_S) -> subprocess.CompletedProcess[str]:
    """A command with its output; never raises for its exit code."""
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)


def _must(*words: str, seconds: float = COMMAND_MAX_S) -> None:
    done = run(*words, seconds=seconds)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise CannotBoot(f"{' '.join(words[:4])} ended with {done.returncode}: {said}")


def take_tools() -> None:
    """Install what is missing; raises CannotBoot."""
    if os.geteuid() != 0:
        raise CannotBoot("a container needs root")
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing and shutil.which("apt-get") is None:
        raise CannotBoot(f"{', '.join(missing)} missing, and there is no apt-get")
    if missing:
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        _must("apt-get", "update", "-qq", seconds=300)
        _must("apt-get", "install", "-y", "--no-install-recommends", *missing, seconds=600)


def _base() -> Path:
    """The minimal Debian; made once."""
    base, mark = CACHE / "root", CACHE / "packages"
    if mark.is_file() and mark.read_text() == PACKAGES:
        return base
    shutil.rmtree(base, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    _must("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(base),
          MIRROR, seconds=900)  # fmt: skip
    mark.write_text(PACKAGES)
    return base


def may_raise_limits() -> bool:
    """This machine lets a service manager raise the hard limits that the units ask for."""
    rows = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(row.split()[1], 16) for row in rows if row.startswith("CapEff"))
    return bool(effective >> CAP_SYS_RESOURCE & 1)


class Container:
    """One board.  `boot` and `kill` as often as wanted; `close` leaves nothing behind."""

    def __init__(self, name: str = "", installed: Path | None = None) -> None:
        """Lay the overlay, over `installed` (`installed_layer`) if given; raises CannotBoot.

        Containers of different names stand side by side.
        """
        self._folder = WORK / name
        self.root = self._folder / "root"
        self.run_dir = Path("/dev/shm") / f"carm-board-{os.getpid()}"
        self._log = self._folder / "console.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0
        below = f"{installed}:{_base()}" if installed is not None else str(_base())
        self._unmount()
        for layer in ("upper", "work", "root"):
            shutil.rmtree(self._folder / layer, ignore_errors=True)
            (self._folder / layer).mkdir(parents=True)
        self.run_dir.mkdir(mode=0o711)
        upper, work = self._folder / "upper", self._folder / "work"
        layers = f"lowerdir={below},upperdir={upper},workdir={work}"
        _must("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))

    def _unmount(self) -> None:
        if os.path.ismount(self.root):
            run("umount", str(self.root))

    def _command(self, *more: str) -> list[str]:
        return ["systemd-nspawn", "-q", "-D", str(self.root), "--register=no", "--keep-unit",
                "--private-network", f"--machine=carm-{os.getpid()}", *more]  # fmt: skip

    def install(self, package: Path) -> float:
        """`apt-get install ./x.deb` without network; how long it took, in s."""
        shutil.copy(package, self.root / "var/tmp" / package.name)
        begun_s = time.monotonic()
        _must(*self._command("--pipe", "apt-get", "install", "-y", f"/var/tmp/{package.name}"),
              seconds=600)  # fmt: skip
        return time.monotonic() - begun_s

    def add_room(self) -> list[str]:
        """The rig's units and the configuration that names its wires; what had to be bent."""
        units = self.root / "etc/systemd/system"
        for path in BENCH.glob("*.service"):
            shutil.copy(path, units)
        config = self.root / "etc/carm/carm.toml"
        text = config.read_text()
        for key, value in (("interface", "slcan"), ("channel", "can")):
            lines = [f'{key} = "{value}"' if row.startswith(f"{key} =") else row
                     for row in text.splitlines()]  # fmt: skip
            text = "\n".join(lines) + "\n"
        config.write_text(text)
        if may_raise_limits():
            return []
        for unit in ("carm-realtime", "carm-rig-line"):
            folder = units / f"{unit}.service.d"
            folder.mkdir()
            (folder / "90-container.conf").write_text(
                "[Service]\nAmbientCapabilities=CAP_IPC_LOCK\nCapabilityBoundingSet=CAP_IPC_LOCK\n"
            )
        words = "this machine may not raise hard limits (no CAP_SYS_RESOURCE): realtime, rig-line"
        return [f"{words} got CAP_IPC_LOCK to lock their memory"]

    def boot(self) -> float:
        """Boot and wait for the system; how long it took, in s.  Raises CannotBoot."""
        command = self._command(
            "--boot", "--console=read-only", f"--bind={self.run_dir}:/run/carm",
            "--system-call-filter=@memlock", "--capability=CAP_IPC_LOCK",
            "--rlimit=RTPRIO=infinity", "--rlimit=MEMLOCK=infinity", "systemd.show_status=no",
        )  # fmt: skip
        begun_s = time.monotonic()
        with self._log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while time.monotonic() < begun_s + BOOT_MAX_S:
            if self._nspawn.poll() is not None:
                raise CannotBoot(f"the container ended: {self._log.read_text()[-300:]}")
            children = run("pgrep", "-P", str(self._nspawn.pid)).stdout.split()
            self._init = int(children[0]) if children else 0
            if self._init and self.ask("systemctl", "is-system-running").stdout.strip() in (
                "running", "degraded",
            ):  # fmt: skip
                return time.monotonic() - begun_s
            time.sleep(0.2)
        raise CannotBoot(f"no boot within {BOOT_MAX_S:g} s: {self._log.read_text()[-300:]}")

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command inside."""
        return run("nsenter", "-t", str(self._init), *IN_CONTAINER, *words)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.ask("systemctl", "show", "-P", name, unit).stdout.strip()

    def main_pid(self, unit: str) -> int:
        """The main process of a unit, by its number outside; 0 when there is none."""
        inside, space = self.show(unit, "MainPID"), Path(f"/proc/{self._init}/ns/pid").readlink()
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError, IndexError):
                row = next(r for r in status.read_text().splitlines() if r.startswith("NSpid"))
                # Another board beside this one has the same numbers inside.
                if row.split()[2:] == [inside] and (status.parent / "ns/pid").readlink() == space:
                    return int(status.parent.name)
        return 0

    def journal(self, unit: str, since_s: float = 0.0) -> str:
        """What a unit has said since an instant of the wall clock, in s since 1970."""
        return self.ask(
            "journalctl", "-u", unit, "--no-pager", "-o", "cat", f"--since=@{since_s:.6f}"
        ).stdout

    def kill(self) -> None:
        """The whole board at once, as by the mains switch."""
        assert self._nspawn is not None
        os.kill(self._init, 9)
        self._nspawn.kill()
        self._nspawn.wait()

    def close(self) -> None:
        """End it in order, if it lives, and take everything away."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            self.ask("systemctl", "poweroff")
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self._unmount()
        shutil.rmtree(self.run_dir, ignore_errors=True)


def installed_layer(package: Path) -> Path:
    """The overlay in which this very package is installed; made once.  Raises CannotBoot."""
    mark = hashlib.sha256(package.read_bytes()).hexdigest()[:16]
    layer = CACHE / "installed" / mark
    if layer.is_dir():
        return layer
    shutil.rmtree(layer.parent, ignore_errors=True)
    layer.parent.mkdir(parents=True)
    box = Container("install")
    try:
        box.install(package)
    finally:
        box.close()
    (WORK / "install" / "upper").rename(layer)
    return layer
