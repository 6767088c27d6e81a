"""The topic tree, in one place.

The one rule: a site, a station and a device are named in the topic and nowhere else, because the
broker's ACL guards topics. Names have no dots (RabbitMQ), no ``+ # / $`` and at most 32 characters.

::

    {root}/{site}/{station}/state                 retained; last will offline
    {root}/{site}/{station}/health/{device}       retained
    {root}/{site}/{station}/value/{device}        QoS 0
    {root}/{site}/{station}/fact/{kind}           QoS 1, never retained
    {root}/{site}/{station}/blob/{fact id}        QoS 1: the binary part of a fact, sent before it
    {root}/{site}/{station}/ack                   bridge → station, retained
    {root}/{site}/{station}/ask/{what}            station → bridge: send `directory` or `catalogue`
    {root}/{site}/{station}/do/{device}/{verb}    commands
    {root}/{site}/{station}/did/{client}          their answers
    {root}/{site}/directory/head                  bridge → stations, retained
    {root}/{site}/directory/shard/{00…ff}         bridge → stations, retained
    {root}/{site}/catalogue/head                  bridge → stations, retained: the whole catalogue
"""

import re
from dataclasses import dataclass

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
CLIENT = re.compile(r"[A-Za-z0-9._-]{1,64}")
RESERVED_STATIONS = frozenset({"directory", "catalogue"})
ROOT = re.compile(r"[A-Za-z0-9_-]{1,32}(/[A-Za-z0-9_-]{1,32}){0,3}")
DEFAULT_ROOT = "edged/v1"


def valid_name(name: str) -> bool:
    """Whether `name` may name a site, a station or a device."""
    return NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class SiteTopics:
    """Topics of one shop."""

    root: str
    site: str

    @property
    def directory_head(self) -> str:
        return f"{self.root}/{self.site}/directory/head"

    def directory_shard(self, shard: str) -> str:
        return f"{self.root}/{self.site}/directory/shard/{shard}"

    @property
    def catalogue_head(self) -> str:
        return f"{self.root}/{self.site}/catalogue/head"

    def station(self, station: str) -> "StationTopics":
        return StationTopics(self.root, self.site, station)


@dataclass(frozen=True, slots=True)
class StationTopics:
    """Topics of one station."""

    root: str
    site: str
    station: str

    @property
    def _base(self) -> str:
        return f"{self.root}/{self.site}/{self.station}"

    @property
    def of_site(self) -> SiteTopics:
        return SiteTopics(self.root, self.site)

    @property
    def state(self) -> str:
        return f"{self._base}/state"

    @property
    def ack(self) -> str:
        return f"{self._base}/ack"

    def health(self, device: str) -> str:
        return f"{self._base}/health/{device}"

    def value(self, device: str) -> str:
        return f"{self._base}/value/{device}"

    def fact(self, kind: str) -> str:
        return f"{self._base}/fact/{kind}"

    def blob(self, fact_id: str) -> str:
        return f"{self._base}/blob/{fact_id}"

    def ask(self, what: str) -> str:
        return f"{self._base}/ask/{what}"

    def do(self, device: str, verb: str) -> str:
        return f"{self._base}/do/{device}/{verb}"

    def did(self, client: str) -> str:
        return f"{self._base}/did/{client}"

    def may_answer(self, topic: str) -> bool:
        """Whether this is where one client gets its answers. Commands name the topic themselves:
        one that makes us write elsewhere, or that nobody can publish to, is not obeyed in that.
        """
        client = topic.rpartition("/")[2]
        return CLIENT.fullmatch(client) is not None and topic == self.did(client)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Where a message came from: ``rest`` is what follows the station, such as ``("fact", …)``."""

    site: str
    station: str
    rest: tuple[str, ...]


def parse(root: str, topic: str) -> Parsed | None:
    """Take a station's topic apart; None when it is not one of ours."""
    if not topic.startswith(root + "/"):
        return None
    site, _, rest = topic[len(root) + 1 :].partition("/")
    station, _, tail = rest.partition("/")
    if not (valid_name(site) and valid_name(station) and tail) or station in RESERVED_STATIONS:
        return None
    return Parsed(site, station, tuple(tail.split("/")))
