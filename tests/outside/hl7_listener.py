"""An HL7 receiver over MLLP that behaves as real ones do: silent, in error, refusing, late, and in the end content. It keeps what it accepted, by control ID."""

import socket
import threading
import time

import hl7

MANNERS = ("silent", "AE", "AR", "late")  # the first tries; after those each message is taken


class Listener:
    def __init__(self, manners=MANNERS, when="20261124"):
        self.manners, self.when = list(manners), when  # `when`: MSH-7 of what it answers
        self.tries = []  # (manner, control ID)
        self.accepted = {}  # control ID -> list of messages
        self.in_order = []  # the same messages, as they came
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self.serve(connection)
                except OSError:
                    pass

    def serve(self, connection):
        connection.settimeout(30)
        data = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                return
            data += piece
            while b"\x1c\r" in data:
                frame, _, data = data.partition(b"\x1c\r")
                self.answer(connection, frame.lstrip(b"\x0b").decode("utf-8"))

    def answer(self, connection, text):
        message = hl7.parse(text)
        control = str(message.segment("MSH")[10])
        manner = self.manners.pop(0) if self.manners else "AA"
        self.tries.append((manner, control))
        if manner == "silent":
            time.sleep(0.5)
            connection.close()
            return
        if manner == "late":
            time.sleep(1.5)
        code = manner if manner in ("AE", "AR") else "AA"
        if code == "AA":
            self.accepted.setdefault(control, []).append(text)
            self.in_order.append(text)
        reply = f"MSH|^~\\&|RIS|TEST|HILUM||{self.when}||ACK|{control}A|P|2.5.1\rMSA|{code}|{control}|{'not now' if code != 'AA' else ''}\r"
        connection.sendall(b"\x0b" + reply.encode() + b"\x1c\r")

    def stop(self):
        self.socket.close()
