"""The other side, from python3-hl7. One mode an argument:

fields    a message on stdin; a line "SEG.nth.field.repetition.component.subcomponent TEXT" for each part it sees
make      a message it builds, on stdout, and behind an empty line the parts as above
client    PORT: sends the message on stdin by MLLP, prints the answer's MSA-1 and MSA-2
server    prints its port, then answers each message by MLLP with AA until stdin ends
"""
import asyncio
import sys
import hl7
import hl7.client
import hl7.mllp


def show(text):
    return text.replace("\r", "\n").encode("unicode_escape").decode("ascii")


def parts(message):
    seen = {}
    for segment in message:
        name = str(segment[0])
        nth = seen[name] = seen.get(name, -1) + 1
        for f in range(1, len(segment)):
            field = segment(f)
            if name == "MSH" and f <= 2:
                yield f"{name}.{nth}.{f}.1.1.1", str(field)
                continue
            for r, repetition in enumerate(field, 1):
                components = repetition if isinstance(repetition, hl7.Repetition) else [repetition]
                for c, component in enumerate(components, 1):
                    leaves = component if isinstance(component, hl7.Component) else [component]
                    for s, leaf in enumerate(leaves, 1):
                        yield f"{name}.{nth}.{f}.{r}.{c}.{s}", message.unescape(str(leaf))


def print_parts(message):
    for where, text in parts(message):
        print(where, show(text))


def make():
    message = hl7.parse("MSH|^~\\&|PY|LAB|HILUM|RAD|20261124||ORM^O01^ORM_O01|PY1|P|2.5.1||||||UNICODE UTF-8\rPID|1\rNTE|1\r")
    texts = ["plain", "a|b^c~d\\e&f", "two\rlines", "caf\u00e9 \u00fc", "\\F\\ as text", ""]
    for n, text in enumerate(texts, 2):
        message["NTE"][0].assign_field(message.escape(text), n)
    for n, text in enumerate(texts, 1):
        message["PID"][0].assign_field(message.escape(text), 3, 1, n)
        message["PID"][0].assign_field(message.escape(text), 3, 2, 1, n)
    return message


async def serve():
    async def answer(reader, writer):
        try:
            while True:
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await hl7.mllp.start_hl7_server(answer, "127.0.0.1", 0, encoding="utf-8")
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


mode = sys.argv[1]
if mode == "fields":
    print_parts(hl7.parse(sys.stdin.buffer.read().decode("utf-8")))
elif mode == "make":
    made = make()
    sys.stdout.buffer.write(str(made).encode("utf-8") + b"\n")
    sys.stdout.buffer.flush()
    print_parts(made)
elif mode == "client":
    with hl7.client.MLLPClient("127.0.0.1", int(sys.argv[2])) as client:
        reply = client.send_message(sys.stdin.buffer.read())
        ack = hl7.parse(reply.strip(b"\x0b\x1c\r").decode("utf-8"))
        print(ack.segment("MSA")(1), ack.segment("MSA")(2))
elif mode == "server":
    asyncio.run(serve())
