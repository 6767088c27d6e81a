import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cameras import picture

from camera.http import Answer, MultipartJpeg, NotHttpError, request, split_url

HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: cam\r\n"
    b'CONTENT-TYPE: multipart/x-mixed-replace; boundary="frame"\r\n\r\n'
)
PICTURES = [picture(number) for number in range(3)]


def part(jpeg: bytes, boundary: bytes = b"--frame", length: int | None = None) -> bytes:
    told = len(jpeg) if length is None else length
    head = b"\r\n%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return head % (boundary, told) + jpeg


class TestHead:
    def test_whole_and_byte_by_byte(self) -> None:
        for step in (1, 7, len(HEAD) + 3):
            answer, body = Answer(), b""
            data = HEAD + b"abc"
            for at in range(0, len(data), step):
                body += answer.feed(data[at : at + step])
            assert body == b"abc"
            assert answer.head is not None
            assert answer.head.status == 200
            assert answer.head.kind == "multipart/x-mixed-replace"
            assert answer.head.boundary == "frame"
            assert answer.head.length is None

    @pytest.mark.parametrize(
        ("kind", "boundary"),
        [
            ("multipart/x-mixed-replace;boundary=--myboundary", "myboundary"),
            ("multipart/x-mixed-replace; boundary = a-b; charset=x", "a-b"),
            ("Multipart/X-Mixed-Replace; BOUNDARY=ab", "ab"),
            ("multipart/x-mixed-replace", ""),
        ],
    )
    def test_boundaries_as_cameras_write_them(self, kind: str, boundary: str) -> None:
        answer = Answer()
        answer.feed(
            b"HTTP/1.0 200 OK\nContent-Type: " + kind.encode() + b"\nContent-Length: 12\n\n"
        )
        assert answer.head is not None
        assert answer.head.boundary == boundary
        assert answer.head.kind == "multipart/x-mixed-replace"
        assert answer.head.length == 12

    def test_a_length_that_is_no_number_is_none(self) -> None:
        for value in (b"-1", b"", b"1.5", b"\xb2", b"9" * 5000):
            answer = Answer()
            answer.feed(b"HTTP/1.0 200 OK\r\nContent-Length: " + value + b"\r\n\r\n")
            assert answer.head is not None
            assert answer.head.length is None

    @pytest.mark.parametrize(
        "data",
        [
            b"RTSP/1.0 200 OK\r\n\r\n",
            b"\xff\xd8\xff",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/" + b"x" * 20000,
        ],
    )
    def test_no_web_server(self, data: bytes) -> None:
        with pytest.raises(NotHttpError):
            Answer().feed(data)

    @given(st.binary(max_size=300))
    def test_noise(self, data: bytes) -> None:
        answer = Answer()
        try:
            answer.feed(b"HTTP/1.0 200 " + data)
        except NotHttpError:
            assert answer.head is None


class TestStream:
    def test_whole_bytewise_and_cut(self) -> None:
        data = b"".join(part(jpeg) for jpeg in PICTURES)
        assert MultipartJpeg("frame").feed(data) == PICTURES
        for step in (1, 3, 100):
            stream, got = MultipartJpeg("frame"), []
            for at in range(0, len(data), step):
                got += stream.feed(data[at : at + step])
            assert got == PICTURES

    def test_a_picture_does_not_wait_for_what_follows_it(self) -> None:
        assert MultipartJpeg("frame").feed(part(PICTURES[0])) == [PICTURES[0]]

    @pytest.mark.parametrize("told", [0, 5, 10**6])
    def test_lengths_are_not_believed(self, told: int) -> None:
        data = b"".join(part(jpeg, length=told) for jpeg in PICTURES)
        assert MultipartJpeg("frame").feed(data) == PICTURES

    @pytest.mark.parametrize("declared", ["", "frame", "other"])
    @pytest.mark.parametrize("sent", [b"--frame", b"frame", b"----frame"])
    def test_boundaries_that_lie(self, declared: str, sent: bytes) -> None:
        data = b"".join(part(jpeg, boundary=sent) for jpeg in PICTURES)
        assert MultipartJpeg(declared).feed(data) == PICTURES

    def test_a_boundary_ends_a_picture_cut_short(self) -> None:
        """At once, also where its headers' lengths reach into the next picture."""
        for cut in range(len(PICTURES[0])):
            data = part(PICTURES[0][:cut]) + part(PICTURES[1])
            assert MultipartJpeg("frame").feed(data) == [PICTURES[1]]

    @settings(max_examples=100)
    @given(
        st.lists(st.one_of(st.sampled_from(PICTURES), st.binary(max_size=60)), max_size=5),
        st.integers(1, 500),
    )
    def test_any_cut_gives_the_same(self, bodies: list[bytes], step: int) -> None:
        data = b"".join(part(body) for body in bodies)
        stream, got = MultipartJpeg("frame"), []
        for at in range(0, len(data), step):
            got += stream.feed(data[at : at + step])
        assert got == MultipartJpeg("frame").feed(data)
        assert got == [body for body in bodies if body in PICTURES]


class TestAddresses:
    def test_request(self) -> None:
        where, asked = request("http://10.0.0.7:8080/video?size=hd")
        assert where == "socket://10.0.0.7:8080"
        assert asked.startswith(b"GET /video?size=hd HTTP/1.0\r\nHost: 10.0.0.7:8080\r\n")
        assert asked.endswith(b"\r\n\r\n")

    def test_defaults(self) -> None:
        where, asked = request("http://cam")
        assert where == "socket://cam:80"
        assert asked.startswith(b"GET / HTTP/1.0\r\n")
        assert request("http://[::1]:81/x")[0] == "socket://[::1]:81"

    @pytest.mark.parametrize(
        "url",
        [
            "https://cam/x",
            "rtsp://cam/x",
            "cam/x",
            "http://",
            "http://user:secret@cam/x",
            "http://cam:70000/x",
            "http://cam:0/x",
            "http://cam/a b",
            "http://cam/a\r\nX: y",
            "http://cam/é",
        ],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(ValueError):
            split_url(url)
