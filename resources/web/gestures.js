// Mouse, pen and fingers on the stage become moves of a tool; `act` names what happens, never how.

const BUTTONS = { 1: "pan", 2: "zoom" };
const PIXELS_A_STEP = 12;

/** `act`: tool() -> name, scroll(steps), window(dx, dy), windowDone(), pan(dx, dy), zoom(factor, x, y). */
export function listen(stage, act) {
  const down = new Map();
  let tool = null;
  let rest = 0;

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("a")) return; // a document to open
    stage.setPointerCapture(event.pointerId);
    stage.focus({ preventScroll: true });
    down.set(event.pointerId, at(event));
    tool = down.size > 1 ? "pinch" : (event.pointerType === "mouse" && BUTTONS[event.button]) || act.tool();
    rest = 0;
    event.preventDefault();
  });

  stage.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    if (down.size === 2) pinch(event.pointerId, now);
    else drag(now.x - before.x, now.y - before.y, now);
    down.set(event.pointerId, now);
  });

  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (tool === "window") act.windowDone();
    tool = down.size ? "none" : null;
  };
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());

  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 0 ? event.deltaY / 100 : event.deltaY;
      if (event.ctrlKey) {
        const { x, y } = at(event);
        act.zoom(Math.exp(-lines * 0.2), x, y);
        return;
      }
      rest += Math.abs(lines) < 1 ? lines : Math.sign(lines);
      const steps = Math.trunc(rest);
      rest -= steps;
      if (steps) act.scroll(steps);
    },
    { passive: false },
  );

  function drag(dx, dy, { x, y }) {
    if (tool === "window") act.window(dx, dy);
    else if (tool === "pan") act.pan(dx, dy);
    else if (tool === "zoom") act.zoom(Math.exp(-dy * 0.01));
    else if (tool === "scroll") {
      rest += dy / PIXELS_A_STEP;
      const steps = Math.trunc(rest);
      rest -= steps;
      if (steps) act.scroll(steps);
    }
  }

  function pinch(moved, now) {
    const [other] = [...down].filter(([id]) => id !== moved).map(([, point]) => point);
    const before = down.get(moved);
    const span = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    act.zoom(span(now) / span(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    act.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }
}
