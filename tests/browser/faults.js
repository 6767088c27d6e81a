// What a person would call ugly, in a page as it stands. `least` is the smallest target's side.
(least) => {
  const faults = [];
  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const say = (e) => e.tagName + " " + (e.textContent || "").trim().replace(/\s+/g, " ").slice(0, 50);
  const scrolls = (e) => e.closest("main.status");
  for (const e of document.querySelectorAll("button, h1, h2, p, output, b, small, time, td, th, a")) {
    if (!seen(e) || !e.textContent.trim()) continue;
    const box = e.getBoundingClientRect();
    if (!scrolls(e) && (box.left < -0.5 || box.top < -0.5 || box.right > innerWidth + 0.5 || box.bottom > innerHeight + 0.5))
      faults.push("outside the window: " + say(e));
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth && getComputedStyle(e).display !== "inline")
      faults.push("clipped across: " + say(e));
    if (e.scrollHeight > e.clientHeight + 3 && e.clientHeight && getComputedStyle(e).overflow === "hidden" && getComputedStyle(e).webkitLineClamp === "none")
      faults.push("clipped down: " + say(e));
    for (let up = e.parentElement; up && up !== document.body; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const edge = up.getBoundingClientRect();
      if (box.right > edge.right + 1.5 || box.left < edge.left - 1.5) faults.push("cut at the side: " + say(e));
      if (!up.matches("main.status") && (box.bottom > edge.bottom + 1.5 || box.top < edge.top - 1.5))
        faults.push("cut above or below: " + say(e));
    }
  }
  const targets = [...document.querySelectorAll("button, a")].filter(seen);
  for (const e of targets) {
    const box = e.getBoundingClientRect();
    if (box.width < least - 0.01 || box.height < least - 0.01)
      faults.push(`too small (${box.width.toFixed(1)} x ${box.height.toFixed(1)}): ` + say(e));
  }
  const blocks = [...document.querySelectorAll("button, h1, .say, .row, .weight, .total, .query, footer p")].filter((e) => seen(e) && e.textContent.trim());
  for (const [i, a] of blocks.entries()) for (const b of blocks.slice(i + 1)) {
    if (a.contains(b) || b.contains(a) || (scrolls(a) && !scrolls(b))) continue;
    const p = a.getBoundingClientRect(), q = b.getBoundingClientRect();
    if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3)
      faults.push("over each other: " + say(a) + " / " + say(b));
  }
  return faults;
}
