"use strict";
// The page: it draws what marks.js works out, and turns clicks and keys into the log.

const $ = (name) => document.getElementById(name);
const canvas = $("canvas");
const pen = canvas.getContext("2d");
const COLOURS = { kept: "#E69F00", faint: "#56B4E9", added: "#00C08B", truth: "#ffffff" }; // after Okabe and Ito (2008)
const STORE = `weakspot review ${data.key}`;

let log = remembered();
let undone = [];
let now = 0; // the image
let slice = 0;
let selected = null; // {kind, index}
let chosenScore = null; // down to which candidates are shown, once it was chosen
let keeps = true; // whether the browser does
let zoom = null; // {scale, x, y}: pixels of the screen for a unit, and where the corner is; null: the whole image
const pictures = new Map();

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) || [];
  } catch {
    return [];
  }
}

const image = () => data.images[now];
const view = () => image().view;
const isShown = (index) => !data.scored || index < Number($("faint").value);
const unitsOf = () => [view().across, view().down].map(([, size, , side]) => size * side);

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(log));
  } catch {
    if (keeps) alert("This browser does not keep what you mark: save your tables before you close the page.");
    keeps = false;
  }
}

function act(step) {
  if (!step) return;
  log.push(step);
  undone = [];
  keep();
  refresh();
}

/* Move a step between what was done and what was taken back, and show where it was. */
function goBack(from, to) {
  const step = from.pop();
  if (!step) return;
  const at = placeOf(data, log, step);
  to.push(step);
  keep();
  show(step.image);
  selected = null;
  if (at) goTo(at);
}

function picture(file) {
  if (!pictures.has(file)) {
    const made = new Image();
    made.onload = draw;
    made.onerror = () => ($("where").textContent = `${file} is missing: keep the folder as it was written`);
    made.src = file;
    pictures.set(file, made);
  }
  return pictures.get(file);
}

function show(place) {
  const other = place !== now;
  now = place;
  if (other) {
    selected = null;
    zoom = null;
    $("where").textContent = "";
    for (const file of pictures.keys()) if (!image().sheets.includes(file) && !image().maps.includes(file)) pictures.delete(file);
    begin();
  }
  refresh();
}

/* Set the controls for another image. */
function begin() {
  const { view, points, start, scores } = image();
  slice = start;
  const several = view.cut !== null;
  $("slices").style.display = several ? "" : "none";
  $("slice").max = several ? view.slices - 1 : 0;
  $("faint-label").style.display = data.scored && scores.length ? "" : "none";
  $("faint").max = points.length;
  $("faint").value = shownAtFirst(image(), chosenScore);
  $("map-label").style.display = image().maps.length ? "" : "none";
  $("list").children[now].scrollIntoView({ block: "nearest" });
}

function refresh() {
  const done = doneIn(log);
  $("progress").textContent = `${done.size} of ${data.images.length} images done`;
  $("done").textContent = done.has(now) ? "Done \u2713 (take back)" : "Image done";
  $("done").className = done.has(now) ? "done" : "";
  $("name").textContent = image().id;
  const objects = objectsOf(data, log, now).length;
  const counted = image().counted === null ? "" : `, predicted ${image().counted}`;
  $("about").textContent = `${objects} object${objects === 1 ? "" : "s"} marked${counted}${image().left_out ? `; ${image().left_out} fainter candidates are not on this page` : ""}`;
  const button = $("list").children[now];
  for (const each of $("list").children) each.classList.toggle("now", each === button);
  label(now);
  draw();
}

function label(place) {
  const [tick, , number] = $("list").children[place].children;
  tick.textContent = doneIn(log).has(place) ? "\u2713" : "\u00b7";
  number.textContent = objectsOf(data, log, place).length;
}

function frame() {
  const [width, height] = unitsOf();
  if (zoom) return zoom;
  const scale = Math.min(canvas.clientWidth / width, canvas.clientHeight / height);
  return { scale, x: (canvas.clientWidth - width * scale) / 2, y: (canvas.clientHeight - height * scale) / 2 };
}

function draw() {
  const dots = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * dots);
  canvas.height = Math.round(canvas.clientHeight * dots);
  pen.setTransform(dots, 0, 0, dots, 0, 0);
  const { scale, x, y } = frame();
  const [width, height] = unitsOf();
  const layer = (files) => {
    const { tile, columns, per_sheet } = view();
    const made = picture(files[Math.floor(slice / per_sheet)]);
    if (!made.complete || !made.naturalWidth) return;
    const place = slice % per_sheet;
    pen.drawImage(
      made, (place % columns) * tile[0], Math.floor(place / columns) * tile[1], tile[0], tile[1],
      x, y, width * scale, height * scale,
    );
  };
  pen.imageSmoothingEnabled = scale < 3;
  // Brighter than it is: added to itself; a filter of the canvas would do, but not every browser has it.
  pen.globalCompositeOperation = "lighter";
  for (let left = 2 ** Number($("brightness").value); left > 0.01; left -= 1) {
    pen.globalAlpha = Math.min(1, left);
    layer(image().sheets);
  }
  pen.globalAlpha = 1;
  pen.globalCompositeOperation = "source-over";
  if (image().maps.length && $("map").checked) {
    pen.globalCompositeOperation = "screen";
    layer(image().maps);
    pen.globalCompositeOperation = "source-over";
  }
  const faint = Number($("faint").value);
  $("faint-value").textContent = faint ? image().scores[faint - 1] : "none";
  $("slice").value = slice;
  $("slice-name").textContent = view().cut === null ? "" : `${data.axes[view().cut]} = ${slice}`;
  if (!$("hide").checked) drawMarks(scale, x, y);
  drawEnds(scale, x, y, width, height);
}

/* Letters for where the sides of a scan lead to. */
function drawEnds(scale, x, y, width, height) {
  if (!view().ends) return;
  const [left, right, top, bottom] = view().ends;
  const w = width * scale, h = height * scale;
  pen.font = "bold 14px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const [letter, at, down] of [[left, x + 12, y + h / 2], [right, x + w - 12, y + h / 2], [top, x + w / 2, y + 12], [bottom, x + w / 2, y + h - 12]]) {
    pen.strokeStyle = "#000";
    pen.lineWidth = 3;
    pen.strokeText(letter, at, down);
    pen.fillStyle = "#fff";
    pen.fillText(letter, at, down);
  }
}

/* The size of marks, and of what a click reaches, in pixels of the screen. */
const sizeAt = (scale) => Math.max(5, Math.min(14, 4 * scale));
const reachAt = (scale) => (1.3 * sizeAt(scale) + 2) / scale;

function drawMarks(scale, x, y) {
  const { points, truth } = image();
  const marks = marksOf(data, log, now);
  const size = sizeAt(scale);
  // A mark is drawn whole in its own slice, and dashed in the two beside it.
  const at = (point, colour, width, shape) => {
    const away = Math.abs(sliceOf(view(), point) - slice);
    if (away > 1) return;
    const [u, v] = toUnits(view(), point);
    for (const [stroke, thick] of [["#000", width + 2], [colour, width]]) {
      pen.strokeStyle = stroke;
      pen.lineWidth = thick;
      pen.setLineDash(away ? [3, 3] : []);
      pen.beginPath();
      shape(x + u * scale, y + v * scale);
      pen.stroke();
    }
    pen.setLineDash([]);
  };
  const ring = (a, b) => pen.arc(a, b, size, 0, 2 * Math.PI);
  const small = (a, b) => pen.arc(a, b, size * 0.6, 0, 2 * Math.PI);
  const square = (a, b) => pen.rect(a - size * 0.9, b - size * 0.9, size * 1.8, size * 1.8);
  const cross = (a, b) => {
    pen.moveTo(a - 5, b); pen.lineTo(a + 5, b); pen.moveTo(a, b - 5); pen.lineTo(a, b + 5);
  };
  const around = (a, b) => pen.arc(a, b, size + 5, 0, 2 * Math.PI);
  if ($("truth").checked) for (const point of truth) at(point, COLOURS.truth, 2, cross);
  points.forEach((point, index) => {
    if (marks.kept[index]) at(point, COLOURS.kept, 2, ring);
    else if (isShown(index)) at(point, COLOURS.faint, 1.5, small);
  });
  marks.added.forEach((point) => point && at(point, COLOURS.added, 2, square));
  const point = selected && (selected.kind === "added" ? marks.added[selected.index] : points[selected.index]);
  if (point) at(point, "#fff", 1, around);
}

/* Go to the next or the previous mark: candidates, the best first, then added points. */
function step(by) {
  const marks = marksOf(data, log, now);
  const all = [
    ...image().points.map((at, index) => ({ kind: "candidate", index, at })).filter((each) => marks.kept[each.index] || isShown(each.index)),
    ...marks.added.map((at, index) => ({ kind: "added", index, at })).filter((each) => each.at),
  ];
  if (!all.length) return;
  const place = all.findIndex((each) => selected && each.kind === selected.kind && each.index === selected.index);
  const next = all[place < 0 ? (by > 0 ? 0 : all.length - 1) : (place + by + all.length) % all.length];
  selected = { kind: next.kind, index: next.index };
  tell(next.at, next.kind === "candidate" ? image().scores[next.index] : undefined);
  goTo(next.at);
}

/* Show where a point is: its slice, and, of an image that is not shown whole, the part around it. */
function goTo(at) {
  slice = sliceOf(view(), at);
  if (zoom) {
    const [u, v] = toUnits(view(), at);
    zoom = { ...zoom, x: canvas.clientWidth / 2 - u * zoom.scale, y: canvas.clientHeight / 2 - v * zoom.scale };
  }
  draw();
}

function toggleSelected() {
  if (!selected || $("hide").checked) return;
  if (selected.kind === "added") {
    act({ act: "remove", image: now, index: selected.index });
    selected = null;
  } else act({ act: "toggle", image: now, index: selected.index });
}

function tell(at, score) {
  $("where").textContent = data.axes.map((axis, place) => `${axis} ${at[place].toFixed(1)}`).join("  ") + (score === undefined ? "" : `   score ${score}`);
}

function zoomBy(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const old = frame();
  const scale = Math.min(60, Math.max(0.02, old.scale * factor));
  zoom = { scale, x: x - ((x - old.x) / old.scale) * scale, y: y - ((y - old.y) / old.scale) * scale };
  draw();
}

function moveSlice(by) {
  if (view().cut === null) return;
  slice = Math.min(view().slices - 1, Math.max(0, slice + by));
  draw();
}

const done = () => act({ act: "done", image: now });

function doneAndNext() {
  if (!doneIn(log).has(now)) done();
  if (now + 1 < data.images.length) show(now + 1);
}

function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
}

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  drag = { x: event.clientX, y: event.clientY, from: frame(), moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  const { scale, x, y } = frame();
  const units = [(event.offsetX - x) / scale, (event.offsetY - y) / scale];
  if (drag) {
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (drag.moved || Math.hypot(dx, dy) > 4) {
      drag.moved = true;
      zoom = { scale: drag.from.scale, x: drag.from.x + dx, y: drag.from.y + dy };
      draw();
    }
    return;
  }
  const at = fromUnits(view(), units, slice);
  if (!isInside(view(), at)) return;
  const mark = markAt(data, log, now, slice, units, reachAt(scale), isShown);
  tell(at, mark && mark.kind === "candidate" ? image().scores[mark.index] : undefined);
});
canvas.addEventListener("pointerup", (event) => {
  const clickedHere = drag && !drag.moved;
  drag = null;
  if (!clickedHere || $("hide").checked) return;
  const { scale, x, y } = frame();
  const step = clicked(data, log, now, slice, [(event.offsetX - x) / scale, (event.offsetY - y) / scale], reachAt(scale), isShown);
  if (step && step.act === "toggle") selected = { kind: "candidate", index: step.index };
  if (step && step.act === "remove") selected = null;
  act(step);
});
canvas.addEventListener("pointercancel", () => (drag = null));
let rolled = 0; // trackpads send many small steps
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (view().cut === null || event.ctrlKey) return zoomBy(1.2 ** (-Math.max(-1, Math.min(1, event.deltaY / 60))), event.offsetX, event.offsetY);
  rolled += event.deltaY * (event.deltaMode ? 30 : 1);
  if (Math.abs(rolled) >= 60) {
    moveSlice(Math.sign(rolled));
    rolled = 0;
  }
}, { passive: false });

const flip = (name) => { $(name).checked = !$(name).checked; draw(); };
const KEYS = {
  ArrowLeft: () => now > 0 && show(now - 1),
  ArrowRight: () => now + 1 < data.images.length && show(now + 1),
  ArrowUp: () => moveSlice(1),
  ArrowDown: () => moveSlice(-1),
  Enter: doneAndNext,
  " ": toggleSelected,
  n: () => step(1),
  p: () => step(-1),
  u: () => goBack(log, undone),
  r: () => goBack(undone, log),
  m: () => flip("map"),
  t: () => flip("truth"),
  h: () => flip("hide"),
  "+": () => zoomBy(1.25),
  "=": () => zoomBy(1.25),
  "-": () => zoomBy(0.8),
  0: () => { zoom = null; draw(); },
};
document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!(key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  const focused = document.activeElement.tagName;
  if ((event.key === "Enter" || event.key === " ") && (event.repeat || focused === "BUTTON" || focused === "INPUT")) return;
  if (event.key.startsWith("Arrow") && document.activeElement.type === "range") return;
  event.preventDefault();
  KEYS[key]();
});

data.images.forEach((each, place) => {
  const button = document.createElement("button");
  for (const text of ["", each.id, ""]) {
    const part = document.createElement("span");
    part.textContent = text;
    button.append(part);
  }
  button.title = each.id;
  button.addEventListener("click", () => { show(place); canvas.focus(); });
  $("list").append(button);
  label(place);
});
const legend = [
  ...(data.images.some((each) => each.points.length) ? [["\u25cb", COLOURS.kept, "kept"], ["\u25cb", COLOURS.faint, "not kept"]] : []),
  ["\u25a1", COLOURS.added, "added"],
  ...(data.images.some((each) => each.truth.length) ? [["+", COLOURS.truth, "reference"]] : []),
];
for (const [sign, colour, text] of legend) {
  const part = document.createElement("span");
  part.style.color = colour;
  part.textContent = `${sign} ${text}`;
  $("legend").append(part, " ");
}
$("truth-label").style.display = data.images.some((each) => each.truth.length) ? "" : "none";
for (const row of document.querySelectorAll(".volume")) row.style.display = data.axes.length === 3 ? "" : "none";
$("slice").addEventListener("input", () => { slice = Number($("slice").value); draw(); });
for (const name of ["brightness", "map", "truth", "hide"]) $(name).addEventListener("input", draw);
$("faint").addEventListener("input", () => {
  const number = Number($("faint").value);
  chosenScore = number ? Number(image().scores[number - 1]) : Infinity;
  draw();
});
$("done").addEventListener("click", done);
// Both at once: they are of one state.
$("save").addEventListener("click", () => {
  if (!doneIn(log).size) {
    alert("No image is marked as done yet: press enter, or the button, when you are through with one.");
    return;
  }
  save("points.csv", pointsTable(data, log));
  save("images.csv", imagesTable(data, log));
});
document.title = `${data.name}: weakspot review`;
window.addEventListener("resize", draw);
// Keys are for the image, but where a button or a slider was reached by keys.
document.addEventListener("pointerup", (event) => event.target.closest("button, input, label") && setTimeout(() => canvas.focus()));
window.addEventListener("storage", (event) => {
  if (event.key !== STORE) return; // the same page, elsewhere
  log = remembered();
  undone = [];
  selected = null;
  data.images.forEach((_, place) => label(place));
  refresh();
});
now = Math.max(0, data.images.findIndex((_, place) => !doneIn(log).has(place)));
begin();
refresh();
