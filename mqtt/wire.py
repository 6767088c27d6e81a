"""The one file that knows the client library, paho-mqtt.

The one rule: paho's memory is never a second outbox. Each connection has a client object of its
own which never reconnects and is forgotten at the end.

paho blocks, so each connection has one thread. It only puts what happened into a queue and wakes
the event loop once; it takes no lock, because paho calls back with its own locks held. The thread
runs `Client.loop` itself rather than `loop_start`: so its end is always known, also when a
broker's bytes made the library raise.
"""

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mqtt.address import Address
from mqtt.packets import Down, Gone, Incoming, Outgoing, Reason

# mosquitto answers so above its `message_size_limit`. MQTT 5 lists it for other packets only, and
# paho breaks a connection off at a reason it does not know: the message would be sent for ever.
ReasonCode.names[Reason.TOO_LARGE]["Packet too large"].append(PacketTypes.PUBACK)

UNDONE = 100
"""Our own Receive Maximum: at most this many messages may be with us before `done()`."""
MAX_PACKET = 16 * 1024 * 1024
"""Our own Maximum Packet Size, in bytes, unless `Settings` has another."""
_BYTES_RECEIVED = 128
"""Where `struct tcp_info` (tcp(7), since Linux 4.1) counts them, in 64 bits."""
STUCK_S = 10.0
"""A connection's thread turns at least once a second; one that did not for so long is stuck."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client introduces itself, and its patience in seconds.

    `max_packet`: the broker leaves out what is larger (bytes, the whole packet). MQTT 3.1.1 has no
    word for this: there, a message of any size comes.
    """

    client_id: str
    will: Callable[[], Outgoing] | None = None
    clean: bool = True
    session_expiry: int = 0
    keepalive: int = 30
    connect_timeout: float = 5.0
    answer_timeout: float = 20.0
    max_packet: int = MAX_PACKET


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the broker's yes said."""

    session_present: bool
    receive_maximum: int
    max_packet: int


class Listener(Protocol):
    """Whom a wire tells, on the event loop. `lost` comes last, once, whatever happened."""

    def welcomed(self, welcome: Welcome) -> None: ...
    def answered(self, mid: int, codes: list[int]) -> None: ...
    def received(self, message: Incoming, *, reading: bool) -> None: ...
    def turned_away(self, why: Down) -> None: ...
    def lost(self, why: Down) -> None: ...


class Wire:
    """One TCP connection with its thread. All methods are for the event loop's thread."""

    def __init__(self, address: Address, settings: Settings, listener: Listener) -> None:
        self._address = address
        self._settings = settings
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._happened: deque[Callable[[], None]] = deque()
        self._woken = False
        self._welcomed = False
        self._unwanted = False
        self._client: Client | None = None
        self._turned = time.monotonic()

    @property
    def turning(self) -> bool:
        """Whether the connection's thread is at work, and not held up somewhere."""
        return time.monotonic() - self._turned < STUCK_S

    @property
    def bytes_received(self) -> int:
        """What has come by this connection, also of a message that is not whole yet."""
        sock = self._socket()
        if sock is None:
            return 0
        try:
            told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
            count: int = struct.unpack_from("=Q", told, _BYTES_RECEIVED)[0]
        except (OSError, struct.error):  # closed a moment ago; a kernel that does not count them
            return 0
        return count

    def start(self) -> None:
        threading.Thread(target=self._carry, name="mqtt", daemon=True).start()

    def publish(self, message: Outgoing) -> int:
        """Hand over a message; the answer to this packet id comes later. Raises `Gone`."""
        info = self._open_client().publish(
            message.topic,
            message.body,
            message.qos,
            message.retain,
            self._properties(message, PacketTypes.PUBLISH),
        )
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Gone("publish failed")
        return info.mid

    def subscribe(self, filters: tuple[str, ...]) -> int:
        """Ask for filters at QoS 1; the answer to this packet id comes later. Raises `Gone`."""
        result, mid = self._open_client().subscribe([(topic, 1) for topic in filters])
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise Gone("subscribe failed")
        return mid

    def unsubscribe(self, filters: tuple[str, ...]) -> int:
        """Want these filters no longer; the answer to this packet id comes later. Raises `Gone`."""
        result, mid = self._open_client().unsubscribe(list(filters))
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise Gone("unsubscribe failed")
        return mid

    def acknowledge(self, mid: int) -> None:
        if self._client is not None and not self._unwanted:
            self._client.ack(mid, 1)

    def hang_up(self) -> None:
        """Say goodbye so that the will, where there is one, is delivered."""
        if self._client is None:
            return
        if self._settings.will is None:
            self._client.disconnect()
        elif self._address.version == "5":
            with_will = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
            self._client.disconnect(with_will)
        else:
            self.cut()  # MQTT 3.1.1 withholds the will after a DISCONNECT

    def cut(self) -> None:
        """Close at once; a connection still being made is closed when it is there."""
        self._unwanted = True
        if (sock := self._socket()) is not None:
            with suppress(OSError):
                # Past an SSLSocket's own shutdown(), which would pull the TLS state away from
                # under the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # --- the connection's thread -------------------------------------------------------------

    def _carry(self) -> None:
        trouble: Exception | MQTTErrorCode
        try:
            client = self._client = self._new_client()
            self._connect(client)
            if self._unwanted:
                self.cut()
            while (trouble := client.loop(1.0)) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._turned = time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever it was, the loop must learn of the end
            trouble = error
        self._post(self._ended, trouble)

    def _new_client(self) -> Client:
        address, settings = self._address, self._settings
        five = address.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if five else settings.clean,
            protocol=MQTTv5 if five else MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = settings.connect_timeout
        client.max_inflight_messages_set(0)  # no limit here: the session's window is the limit
        if address.user is not None:
            client.username_pw_set(address.user, address.password)
        if address.tls is not None:
            try:
                client.tls_set_context(address.tls.context())
            except OSError as error:
                raise Down("link.tls", str(error)) from error
        client.on_socket_open = _no_delay
        # With this set, paho leaves all writing to `loop`, in this connection's thread.
        client.on_socket_register_write = _ignore
        client.on_connect = lambda _client, _data, flags, code, properties: self._post(
            self._connected, flags.session_present, code.value, properties
        )
        client.on_disconnect = lambda _client, _data, flags, code, _properties: (
            self._post(self._sent_away, code.value)
            if flags.is_disconnect_packet_from_server
            else None
        )
        client.on_publish = lambda _client, _data, mid, code, _properties: self._post(
            self._listener.answered, mid, [code.value]
        )
        client.on_subscribe = lambda _client, _data, mid, codes, _properties: self._post(
            self._listener.answered, mid, [code.value for code in codes]
        )
        client.on_unsubscribe = lambda _client, _data, mid, codes, _properties: self._post(
            self._listener.answered, mid, [code.value for code in codes]
        )
        client.on_message = lambda _client, _data, message: self._post(self._received, message)
        return client

    def _connect(self, client: Client) -> None:
        address, settings = self._address, self._settings
        options: dict[str, Any] = {}
        if address.version == "5":
            introduction = Properties(PacketTypes.CONNECT)
            introduction.ReceiveMaximum = UNDONE
            introduction.MaximumPacketSize = settings.max_packet
            if settings.session_expiry:
                introduction.SessionExpiryInterval = settings.session_expiry
            options = {"clean_start": settings.clean, "properties": introduction}
        if settings.will is not None:
            will = settings.will()
            properties = self._properties(will, PacketTypes.WILLMESSAGE)
            client.will_set(will.topic, will.body, will.qos, will.retain, properties)
        client.connect(address.host, address.port, settings.keepalive, **options)

    def _post(self, what: Callable[..., None], *args: Any) -> None:
        self._happened.append(partial(what, *args))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self._tell)

    # --- back on the event loop --------------------------------------------------------------

    def _tell(self) -> None:
        self._woken = False
        while self._happened:
            self._happened.popleft()()

    def _connected(self, session_present: bool, code: int, properties: Properties) -> None:
        reason = Reason(code)
        if reason.failed:
            self._listener.turned_away(Down.by_broker(reason))
            return
        self._welcomed = True
        self._listener.welcomed(
            Welcome(
                session_present,
                getattr(properties, "ReceiveMaximum", 0xFFFF),
                getattr(properties, "MaximumPacketSize", 0x0FFF_FFFF),
            )
        )

    def _sent_away(self, code: int) -> None:
        self._listener.turned_away(Down.by_broker(Reason(code)))

    def _received(self, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self.acknowledge(message.mid)  # cannot be ours, and would come back for ever
            return
        properties = message.properties
        self._listener.received(
            Incoming(
                topic,
                bytes(message.payload),
                retain=message.retain,
                properties=dict(getattr(properties, "UserProperty", ())),
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                ack=partial(self.acknowledge, message.mid) if message.qos else None,
            ),
            reading=message.qos == 0,
        )

    def _ended(self, trouble: Exception | MQTTErrorCode) -> None:
        self._client = None  # breaks the circle, so that its sockets close now
        if isinstance(trouble, Down):
            why = trouble
        elif isinstance(trouble, ssl.SSLError):
            why = Down("link.tls", getattr(trouble, "verify_message", "") or str(trouble))
        elif isinstance(trouble, Exception):
            why = Down("link.down", str(trouble) or type(trouble).__name__)
        elif self._address.tls is not None and not self._welcomed:
            # In TLS 1.3 a client certificate is refused after the client's own handshake is over.
            why = Down("link.tls", "closed by the broker before its answer")
        elif trouble == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            why = Down("link.down", "the broker broke the protocol")
        else:
            why = Down("link.down", "connection lost")
        self._listener.lost(why)

    # --- small parts -------------------------------------------------------------------------

    def _socket(self) -> socket.socket | None:
        sock = self._client.socket() if self._client is not None else None
        return sock if isinstance(sock, socket.socket) else None

    def _open_client(self) -> Client:
        if self._client is None or self._unwanted:
            raise Gone("connection lost")
        return self._client

    def _properties(self, message: Outgoing, kind: int) -> Properties | None:
        if self._address.version != "5":
            return None
        properties = Properties(kind)
        if message.expiry is not None:
            properties.MessageExpiryInterval = message.expiry
        if message.properties:
            properties.UserProperty = list(message.properties.items())
        if message.response_topic is not None:
            properties.ResponseTopic = message.response_topic
        if message.correlation is not None:
            properties.CorrelationData = message.correlation
        return properties


def _no_delay(_client: Client, _data: object, sock: Any) -> None:
    """Without it some brokers' answers take 43 ms instead of 0.3."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _ignore(_client: Client, _data: object, _sock: object) -> None:
    pass
