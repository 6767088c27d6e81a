"""Cameras: V4L2, picamera2 and MJPEG over the network behind one interface; the portrait crop."""

from camera.camera import Camera, Frame

__all__ = ["Camera", "Frame"]
