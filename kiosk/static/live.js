// Keeps a page equal to what the station says, and sends taps.
// The one rule: when the station's heartbeat is late the page shows no number, and when it is
// silent the page says so; and only a page that hears the heartbeat and is really drawn says that it is alive.
(() => {
  "use strict";
  const SILENT_MS = 5000;
  const LOOK_MS = 100;
  const ALIVE_MS = 5000;
  const JUST_APPEARED_MS = 250;
  const name = document.body.dataset.name;
  const meta = (what) => document.querySelector(`meta[name=${what}]`)?.content;
  const screen = document.getElementById("screen");

  // The token of the kiosk's own browser: it comes behind the first address, and stays with the
  // tab, so that it is still known after a change of page. No other browser has it.
  const OWN = "#kiosk=";
  if (location.hash.startsWith(OWN)) {
    sessionStorage.setItem("kiosk", location.hash.slice(OWN.length));
    history.replaceState(null, "", location.pathname);
  }
  const kiosk = sessionStorage.getItem("kiosk");

  // What a hand or a keyboard could call up is the browser's own and would lie over the page. In
  // other browsers keys stay what they are: a technician copies, prints and searches.
  const KEYS = /^(.|Tab|Enter|Escape|Backspace|Arrow\w+|Page\w+|Home|End|Shift)$/u;
  const prevent = (event) => event.preventDefault();
  addEventListener("contextmenu", prevent);
  if (kiosk) {
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !KEYS.test(event.key)) prevent(event);
    });
    addEventListener("wheel", (event) => event.ctrlKey && prevent(event), { passive: false });
    addEventListener("dragstart", prevent);
  }

  if (!meta("token")) return;
  let heard = performance.now();
  let late = SILENT_MS;
  let cue = document.getElementById("main").dataset.cue;
  const appeared = new WeakMap();

  const copyLooks = (old, fresh) => {
    for (const { name: key } of [...old.attributes])
      if (!fresh.hasAttribute(key)) old.removeAttribute(key);
    for (const { name: key, value } of fresh.attributes)
      if (old.getAttribute(key) !== value) old.setAttribute(key, value);
  };

  // Only the parts that differ are replaced, so that a finger on a button is not robbed of it.
  const show = (html) => {
    const box = document.createElement("template");
    box.innerHTML = html;
    const fresh = box.content;
    const parts = [...fresh.querySelectorAll("[data-part]")];
    const known = screen.querySelectorAll("[data-part]");
    if (parts.length !== known.length || parts.some((part, i) => part.id !== known[i].id)) {
      screen.replaceChildren(fresh);
    } else {
      copyLooks(document.getElementById("main"), fresh.getElementById("main"));
      parts.forEach((part, i) => {
        const old = known[i];
        copyLooks(old, part);
        if (old.innerHTML !== part.innerHTML) {
          const held = old.contains(document.activeElement) ? document.activeElement.dataset : {};
          old.innerHTML = part.innerHTML;
          appeared.set(old, performance.now());
          // Whoever works with a keyboard stays where they are.
          const same = (button) => button.dataset.do === held.do && button.dataset.what === held.what;
          [...old.querySelectorAll("[data-do]")].find(same)?.focus();
        }
      });
    }
    const main = document.getElementById("main");
    const pressed = screen.querySelector("nav [data-do=language][aria-pressed=true]");
    if (pressed) document.documentElement.lang = pressed.dataset.what;
    if (main.dataset.cue !== cue) {
      cue = main.dataset.cue;
      play(cue.split(" ")[1]);
    }
  };

  // Rhythm and direction tell the four apart, not pitch: [start s, length s, Hz from, Hz to].
  const CUES = {
    ok: [[0, 0.14, 620, 620], [0.18, 0.24, 930, 930]],
    warn: [[0, 0.18, 560, 560], [0.28, 0.18, 560, 560]],
    stop: [[0, 0.58, 220, 160]],
    unknown: [[0, 0.09, 440, 440], [0.17, 0.09, 440, 440], [0.34, 0.09, 440, 440]],
  };
  let audio;
  const play = (sound) => {
    if (!CUES[sound] || !window.AudioContext) return;
    audio ??= new AudioContext();
    audio.resume().catch(() => {});
    for (const [at, length, from, to] of CUES[sound]) {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      const start = audio.currentTime + at;
      tone.frequency.setValueAtTime(from, start);
      tone.frequency.linearRampToValueAtTime(to, start + length);
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(0.2, start + 0.02);
      volume.gain.setValueAtTime(0.2, start + length - 0.03);
      volume.gain.linearRampToValueAtTime(0, start + length);
      tone.connect(volume).connect(audio.destination);
      tone.start(start);
      tone.stop(start + length);
    }
  };

  const tap = async (action, what) => {
    try {
      const answer = await fetch(`/${name}/tap`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Token": meta("token") },
        body: JSON.stringify({ do: action, what: what ?? "", id: Math.random().toString(36) }),
      });
      if (answer.status === 403) location.reload();
    } catch {
      // The station is away: the silent heartbeat says it.
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button || button.disabled || document.body.classList.contains("late")) return;
    // A button that has only just come under the finger was not meant, nor are the taps after it
    // until the finger pauses: a nervous hand that starts must not cancel.
    const part = button.closest("[data-part]");
    const now = performance.now();
    if (now - (appeared.get(part) ?? -1e6) < JUST_APPEARED_MS && !button.closest(".keys")) {
      appeared.set(part, now);
      return;
    }
    tap(button.dataset.do, button.dataset.what);
  });

  // A keyboard, where there is one, types into the scale's search.
  document.addEventListener("keydown", (event) => {
    if (!screen.querySelector(".keys") || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Backspace") tap("key", "back");
    else if (/^[a-z0-9]$/i.test(event.key)) tap("key", event.key.toLowerCase());
    else if (event.key === " " && event.target.tagName !== "BUTTON") tap("key", " ");
  });

  const hear = () => {
    heard = performance.now();
    document.body.classList.remove("silent", "late");
  };
  let source;
  const listen = () => {
    source = new EventSource(`/${name}/stream`);
    source.addEventListener("heartbeat", (event) => {
      const { build, clock, every } = JSON.parse(event.data);
      late = 2000 * every;
      if (build !== meta("build")) return location.reload();
      const shown = document.getElementById("clock");
      if (shown && shown.textContent !== clock) shown.textContent = clock;
      hear();
    });
    // The station has closed the line: it ended, or somebody ended it.
    source.addEventListener("error", () => {
      heard = Math.min(heard, performance.now() - late - 1);
      document.body.classList.add("late");
    });
    source.addEventListener("screen", (event) => {
      hear();
      show(event.data);
    });
    source.addEventListener("value", (event) => {
      hear();
      for (const [id, text] of Object.entries(JSON.parse(event.data))) {
        const shown = document.getElementById(id);
        if (shown) shown.textContent = text;
      }
    });
  };
  listen();
  setInterval(() => {
    const quiet = performance.now() - heard;
    if (quiet > late) document.body.classList.add("late");
    if (quiet > SILENT_MS) document.body.classList.add("silent");
    // After an answer that is not a stream (the daemon starting), EventSource gives up for good.
    if (source.readyState === EventSource.CLOSED) listen();
  }, LOOK_MS);

  // Timers go on in a page that is no longer drawn, so it is a frame that says "alive".
  let waiting = false;
  const sayAlive = () => {
    if (waiting || performance.now() - heard > SILENT_MS) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      fetch("/alive", { method: "POST", body: kiosk }).catch(() => {});
    });
  };
  if (kiosk) setInterval(sayAlive, ALIVE_MS);
})();
