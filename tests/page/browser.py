"""Debian's chromium as Python sees it (tests/page/page.mjs drives it): tabs that are looked at, clicked and typed into."""

import base64
import json
import os
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Browser:
    """Use as a context manager. browser.tab() opens a tab."""

    def __enter__(self):
        self.process = subprocess.Popen(["node", os.path.join(HERE, "page.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tabs = 0
        return self

    def __exit__(self, *_):
        self.process.stdin.close()  # it ends, and its browser with it
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def tab(self):
        self.tabs += 1
        return Tab(self, self.tabs)

    def ask(self, tab, what, *values):
        self.process.stdin.write(json.dumps({"tab": tab, "do": what, "with": values}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the browser ended at {what} {values}")
        answer = json.loads(line)
        if "failed" in answer:
            raise AssertionError(f"{what} {values}: {answer['failed']}")
        return answer["value"]


class Tab:
    def __init__(self, browser, name):
        self.browser, self.name = browser, name

    def __getattr__(self, what):  # goto, evaluate, click, ask, accept, fill, select, press, wheel, drag, resize, screenshot, errors, close
        return lambda *values: self.browser.ask(self.name, what, *values)

    def until(self, script, seconds=30, what=None):
        """The script's value, once it is true."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = self.evaluate(script)
            except AssertionError as error:
                if "Execution context was destroyed" not in str(error):  # it is on its way to another page
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what or script}; the page says: {self.text('body')[:2000]}")
            time.sleep(0.05)

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def texts(self, selector):
        return self.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText)")

    def until_text(self, selector, part, seconds=30):
        return self.until(f"(document.querySelector({json.dumps(selector)})?.innerText ?? '').includes({json.dumps(part)})", seconds, f"{part!r} in {selector}")

    def picture(self):
        """What the canvas shows: an array [row][column][red, green, blue]."""
        import numpy as np

        width, height, data = self.evaluate(
            """(() => {
                const canvas = document.querySelector("canvas");
                const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                let text = "";
                for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
                return [canvas.width, canvas.height, btoa(text)];
            })()""")
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[:, :, :3].astype(int)

    def slice_shown(self):
        """Its place in the stack, once that is what the slider says."""
        return self.until("""(() => {
            const canvas = document.querySelector("canvas"), slider = document.querySelector(".scroll input");
            return canvas && slider && canvas.dataset.slice === slider.value && !document.querySelector(".stage .loading") && [Number(slider.value)];
        })()""", what="the slice of the slider is shown")[0]

    def edges(self):
        """The letters at the left, right, top and bottom."""
        return [self.text(f".edge.{edge}") for edge in ("left", "right", "top", "bottom")]
