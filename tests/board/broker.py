"""A broker on the board of the test, set up as `systemd/mosquitto/` and the documentation say.

Lives here: certificates made on the board, the installed configuration, the keys of the C-arm's
own configuration that name it.  May not live here: what is expected of the service.
"""

import re
import shutil
from pathlib import Path

from tests.board.container import CannotBoot, Container

PORT = 8883
DEVICE = "carm-1"
SETTINGS = {
    "broker": '"external"', "port": str(PORT), "security": '"tls"', "protocol": '"5"',
    "certificates": '"/etc/carm/certificates"',
}  # fmt: skip


def set_up(box: Container) -> None:
    """On the booted board; raises CannotBoot where a step fails."""
    folder = box.root / "etc/mosquitto/carm"
    _must(box, "/usr/bin/carm", "service", "certs", "/etc/mosquitto/carm", "--device", DEVICE)
    ours = box.root / "etc/carm/certificates"
    ours.mkdir()
    for name in ("ca.crt", "client.crt", "client.key"):
        shutil.copy(folder / name, ours)
    share = box.root / "usr/share/carm/mosquitto"
    shutil.copy(share / "mosquitto.conf", box.root / "etc/mosquitto/conf.d/carm.conf")
    rules = (share / "carm.acl").read_text().replace("bench-1", DEVICE)
    (box.root / "etc/mosquitto/carm.acl").write_text(rules)
    _must(box, "chown", "-R", "carm-service:carm-service", "/etc/carm/certificates")
    _must(
        box, "chown", "-R", "mosquitto:mosquitto", "/etc/mosquitto/carm", "/etc/mosquitto/carm.acl"
    )
    _name(box.root / "etc/carm/carm.toml")
    _must(box, "systemctl", "restart", "mosquitto")


def has_seen(box: Container) -> bool:
    """The broker has admitted the C-arm under the name of its certificate; Debian's logs there."""
    log = box.root / "var/log/mosquitto/mosquitto.log"
    return log.exists() and f"u'device-{DEVICE}'" in log.read_text()


def _name(config: Path) -> None:
    head, mark, mqtt = config.read_text().partition("[mqtt]")
    for key, value in SETTINGS.items():
        mqtt, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", mqtt, count=1)
        assert found, f"mqtt.{key} is not in {config}"
    config.write_text(head + mark + mqtt)


def _must(box: Container, *words: str) -> None:
    done = box.ask(*words)
    if done.returncode:
        raise CannotBoot(f"{' '.join(words[:3])}: {(done.stderr or done.stdout).strip()[-200:]}")
