// Everything by keyboard: one table that is obeyed and shown.

import { node } from "./text.js";

/** `act` as in main.js. Each row: keys as the browser names them, how people read them, what happens. */
const table = (act) => [
  [["ArrowDown", "ArrowRight"], "↓ →", "Next picture", () => act.scroll(1)],
  [["ArrowUp", "ArrowLeft"], "↑ ←", "Picture before", () => act.scroll(-1)],
  [["PageDown"], "Page down", "Ten pictures on", () => act.scroll(10)],
  [["PageUp"], "Page up", "Ten pictures back", () => act.scroll(-10)],
  [["Home"], "Home", "First picture", () => act.go(0)],
  [["End"], "End", "Last picture", () => act.go(Infinity)],
  [["]", "n"], "N or ]", "Next series", () => act.series(1)],
  [["[", "b"], "B or [", "Series before", () => act.series(-1)],
  [["c"], "C", "Window: centre higher, darker", () => act.nudge(0.05, 0)],
  [["C"], "Shift C", "Window: centre lower, brighter", () => act.nudge(-0.05, 0)],
  [["w"], "W", "Window: wider, less contrast", () => act.nudge(0, 0.1)],
  [["W"], "Shift W", "Window: narrower, more contrast", () => act.nudge(0, -0.1)],
  [["d"], "D", "Next preset of the window", () => act.preset(1)],
  [["i"], "I", "Invert", () => act.invert()],
  [["+", "="], "+", "Larger", () => act.zoom(1.25)],
  [["-"], "-", "Smaller", () => act.zoom(0.8)],
  [["f", "0"], "F", "Fit into the window", () => act.fit()],
  [["o"], "O", "1:1, a pixel on a pixel", () => act.original()],
  [["Shift+Arrow"], "Shift and an arrow", "Move the picture", null],
  [["r"], "R", "Window, zoom and place as at first", () => act.reset()],
  [["p", " "], "P or Space", "Play or stop", () => act.cine()],
  [[">", "."], ".", "Play faster", () => act.hurry(1.25)],
  [["<", ","], ",", "Play slower", () => act.hurry(0.8)],
  [["1", "2", "3", "4"], "1 2 3 4", "A drag changes the window, scrolls, zooms, moves", (key) => act.choose(Number(key) - 1)],
  [["t"], "T", "Text on the picture", () => act.text()],
  [["?", "h"], "? or H", "This list", () => act.help()],
  [["Escape"], "Escape", "Close this list, stop playing", () => act.escape()],
];

const MOVES = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, -40], ArrowDown: [0, 40] };
const TYPING = new Set(["SELECT", "TEXTAREA"]);

export function listen(act) {
  const rows = table(act);
  const actions = new Map();
  for (const [keys, , , action] of rows) for (const key of keys) if (action) actions.set(key, action);
  document.getElementById("keys").replaceChildren(
    ...rows.map(([, shown, what]) => node("tr", {}, node("td", {}, node("kbd", { textContent: shown })), node("td", { textContent: what }))),
  );
  document.addEventListener("keydown", (event) => {
    const element = event.target;
    const helping = document.getElementById("help").open;
    if (helping && event.key !== "?" && event.key !== "h") return; // Escape is the dialog's own
    if (event.ctrlKey || event.metaKey || event.altKey || TYPING.has(element.tagName)) return;
    if (element.tagName === "INPUT" && event.key !== "Escape") return; // the slider has keys of its own
    if (event.key === " " && (element.tagName === "BUTTON" || element.tagName === "A")) return;
    if (event.shiftKey && MOVES[event.key]) act.pan(...MOVES[event.key]);
    else if (actions.has(event.key)) actions.get(event.key)(event.key);
    else return;
    event.preventDefault();
  });
}
