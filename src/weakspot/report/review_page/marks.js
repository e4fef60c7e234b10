"use strict";
// What a reviewer says, and what follows from it: no page is needed here. The state is the log of what was done, so
// that the last of it can be taken back. A point is the index of a voxel, in the order of the image's axes.
//
// log: [{act: "toggle", image, index} | {act: "add", image, at} | {act: "remove", image, index} | {act: "done", image}]

/* Marks of an image: which candidates are kept, and which points were added (null where one was removed). */
function marksOf(data, log, image) {
  const { points, kept } = data.images[image];
  const marks = { kept: points.map((_, index) => index < kept), added: [] };
  for (const step of log) {
    if (step.image !== image) continue;
    if (step.act === "toggle") marks.kept[step.index] = !marks.kept[step.index];
    else if (step.act === "add") marks.added.push(step.at);
    else if (step.act === "remove") marks.added[step.index] = null;
  }
  return marks;
}

/* The objects of an image as they stand: candidates that are kept, then points that were added. */
function objectsOf(data, log, image) {
  const marks = marksOf(data, log, image);
  const found = data.images[image].points.filter((_, index) => marks.kept[index]);
  return [...found, ...marks.added.filter((at) => at !== null)];
}

/* The slice of a point, 0 in 2D. */
const sliceOf = (view, at) => (view.cut === null ? 0 : Math.min(view.slices - 1, Math.max(0, Math.round(at[view.cut]))));

/* Where a point lies in a slice as it is drawn, from the corner at the top left, in units of the smaller voxel side. */
function toUnits(view, at) {
  const place = ([axis, size, flipped, side]) => ((flipped ? size - 1 - at[axis] : at[axis]) + 0.5) * side;
  return [place(view.across), place(view.down)];
}

/* The point of a slice that is drawn there: the inverse of toUnits. */
function fromUnits(view, [x, y], slice) {
  const at = view.cut === null ? [0, 0] : [0, 0, 0];
  if (view.cut !== null) at[view.cut] = slice;
  for (const [[axis, size, flipped, side], where] of [[view.across, x], [view.down, y]]) {
    const index = where / side - 0.5;
    at[axis] = Number((flipped ? size - 1 - index : index).toFixed(2));
  }
  return at;
}

/* Whether a point lies in the image. */
const isInside = (view, at) =>
  [view.across, view.down].every(([axis, size]) => at[axis] >= -0.5 && at[axis] < size - 0.5);

/* What a click means: the nearest mark within reach, in units, of this slice or else of those beside it: {kind, index},
or null. Of several in one place, one that stands for an object. */
function markAt(data, log, image, slice, units, reach, isShown) {
  const { view, points } = data.images[image];
  const marks = marksOf(data, log, image);
  const near = [];
  const look = (at, kind, index, rank) => {
    const away = Math.abs(sliceOf(view, at) - slice);
    const [x, y] = toUnits(view, at);
    const distance = Math.hypot(x - units[0], y - units[1]);
    if (away <= 1 && distance <= reach) near.push({ kind, index, away, distance, rank });
  };
  points.forEach((at, index) => {
    if (marks.kept[index] || isShown(index)) look(at, "candidate", index, marks.kept[index] ? 0 : 1);
  });
  marks.added.forEach((at, index) => at && look(at, "added", index, 0));
  near.sort((one, other) => one.away - other.away || one.distance - other.distance || one.rank - other.rank);
  return near.length ? { kind: near[0].kind, index: near[0].index } : null;
}

/* The action that a click is. */
function clicked(data, log, image, slice, units, reach, isShown) {
  const { view } = data.images[image];
  const mark = markAt(data, log, image, slice, units, reach, isShown);
  if (mark) return { act: mark.kind === "added" ? "remove" : "toggle", image, index: mark.index };
  const at = fromUnits(view, units, slice);
  return isInside(view, at) ? { act: "add", image, at } : null;
}

/* The images that are done. */
function doneIn(log) {
  const done = new Set();
  for (const step of log) if (step.act === "done" && !done.delete(step.image)) done.add(step.image);
  return done;
}

/* Where a step of the log was made: a point, or null. */
function placeOf(data, log, step) {
  if (step.act === "toggle") return data.images[step.image].points[step.index];
  if (step.act === "add") return step.at;
  if (step.act === "remove") return log.filter((each) => each.image === step.image && each.act === "add")[step.index].at;
  return null;
}

/* The candidates to show faintly, from the best: a few beyond those that were counted, until a score was chosen. */
function shownAtFirst(image, score) {
  if (score !== null) return image.scores.filter((each) => Number(each) >= score).length;
  return Math.min(image.points.length, Math.max(Math.ceil(1.5 * image.kept), image.kept + 10));
}

/* Tables as CSV. */
const cell = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
const table = (rows) => rows.map((row) => row.map(cell).join(",") + "\n").join("");

/* World coordinates of a point in mm, empty where they are not known. */
const inWorld = (affine, at) =>
  affine ? affine.slice(0, 3).map((row) => Number((at.reduce((sum, index, axis) => sum + row[axis] * index, row[3])).toFixed(3))) : ["", "", ""];

/* The points table of the images that are done. */
function pointsTable(data, log) {
  const volumes = data.axes.length === 3;
  const done = doneIn(log);
  const rows = data.images.flatMap((image, place) => {
    const objects = done.has(place) ? objectsOf(data, log, place) : [];
    return objects.map((at) => [image.id, ...at, ...(volumes ? inWorld(image.affine, at) : [])]);
  });
  return table([["id", ...data.axes, ...(volumes ? ["x_mm", "y_mm", "z_mm"] : [])], ...rows]);
}

/* The cohort's table: its rows as they came, the count of the images that are done, and whether they are. */
function imagesTable(data, log) {
  const done = doneIn(log);
  const rows = data.images.map((image, place) =>
    done.has(place) ? [image.id, ...image.row, objectsOf(data, log, place).length, "yes"] : [image.id, ...image.row, "", "no"],
  );
  const others = data.others.map((row) => [...row, "", "no"]);
  return table([["id", ...data.columns, "count", "reviewed"], ...rows, ...others]);
}
