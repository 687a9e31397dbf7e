"use strict";
// The page is whole without this. It adds a read-out to the timelines, a filter and
// "Expand all" to the tables.
const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
function bytes(number) {
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) { number /= 1024; unit += 1; }
  return (unit ? number.toFixed(1) : number.toFixed(0)) + " " + units[unit];
}
function readOut(figure) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const area = figure.querySelector(".area");
  const cursor = area.querySelector(".cursor");
  const readout = figure.querySelector(".readout");
  const show = (event) => {
    const box = area.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * data.window;
    let nearest = 0;
    data.seconds.forEach((second, index) => {
      if (Math.abs(second - wanted) < Math.abs(data.seconds[nearest] - wanted)) nearest = index;
    });
    const rows = data.layers.map(([name, values]) => [name, values[nearest]]).reverse();
    if (data.resident.length) rows.push(["resident set", data.resident[nearest]]);
    if (data.live.length) rows.push(["live, of the window's", data.live[nearest]]);
    const text = rows.filter((row) => row[1] > 0).map((row) => row[0] + " " + bytes(row[1]));
    const second = data.seconds[nearest];
    const when = data.clock_ms === null ? second.toFixed(1) + " s" : new Date(data.clock_ms + second * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
    readout.textContent = when + ": " + text.join(" · ");
    readout.hidden = false;
    cursor.hidden = false;
    cursor.style.left = (data.seconds[nearest] / data.window) * 100 + "%";
  };
  area.addEventListener("pointermove", show);
  area.addEventListener("pointerdown", show);
  area.addEventListener("pointerleave", () => { cursor.hidden = true; });
}
document.querySelectorAll("figure.timeline").forEach(readOut);
for (const tools of document.querySelectorAll(".tools")) {
  tools.hidden = false;
  const field = tools.querySelector("input");
  const rows = document.querySelectorAll("#" + field.dataset.filter + " tbody tr");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  const button = tools.querySelector("button");
  button.addEventListener("click", () => {
    const folds = [...document.querySelectorAll("#" + button.dataset.expand + " details")];
    const open = folds.some((fold) => !fold.open);
    for (const fold of folds) fold.open = open;
    button.textContent = open ? "Fold all" : "Expand all";
  });
}
