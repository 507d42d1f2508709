/*
 * Plots: every element with data-plot gets one, from the points in its data-points; those of the traffic grow with the
 * samples that page.js hands on. Colours are those of the style, and follow when light and dark change.
 */
const KEEP_S = 300;
const HEIGHT = 180;
const UNITS = ["", "k", "M", "G", "T"];

const SERIES = {
  traffic: [["from clients", "--line-1"], ["from servers", "--line-2"], ["copies", "--line-3"]],
  match: [["would be carried on", "--line-1"]],
};

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function scaled(value) {
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const text = {
  traffic: (value) => value === null || value === undefined ? "–" : `${scaled(value)}bit/s`,
  match: (value) => value === null || value === undefined ? "–" : `${value} %`,
};

/** Up to the last sample; up to now while there is none. */
function lastMinutes(high) {
  const end = high ?? Date.now() / 1000;
  return [end - KEEP_S, end];
}

class Plot {
  constructor(element) {
    this.element = element;
    this.kind = element.dataset.plot;
    this.points = JSON.parse(element.dataset.points || "[]");
    this.draw();
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(element);
  }

  columns() {
    const columns = [this.points.map((point) => point[0])];
    SERIES[this.kind].forEach((_, i) => columns.push(this.points.map((point) => point[i + 1])));
    return columns;
  }

  draw() {
    this.plot?.destroy();
    const axis = {
      stroke: colour("--dim"),
      grid: { stroke: colour("--rule"), width: 1 },
      ticks: { show: false },
    };
    const words = text[this.kind];
    this.plot = new uPlot(
      {
        width: this.element.clientWidth || 300,
        height: HEIGHT,
        cursor: { y: false, drag: { x: false, y: false } },
        legend: { live: true },
        scales: {
          x: {
            range: (_, low, high) =>
              this.kind === "traffic" ? lastMinutes(high) : [low, Math.max(high, low + 600)],
          },
          y: {
            range: (_, low, high) =>
              this.kind === "match" ? [Math.min(low ?? 0, 90), 100] : [0, Math.max(1000, (high ?? 0) * 1.1)],
          },
        },
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
        axes: [
          { ...axis, values: (_, at) => at.map((s) => new Date(s * 1000).toISOString().slice(11, 16)) },
          {
            ...axis,
            size: 84,
            values: (_, at) => at.map(words),
          },
        ],
        series: [
          {
            value: (_, s) =>
              s === null || s === undefined ? "–" : `${new Date(s * 1000).toISOString().slice(11, 19)} UTC`,
          },
          ...SERIES[this.kind].map(([label, name], i) => ({
            label,
            stroke: colour(name),
            width: 2,
            dash: [[], [8, 4], [2, 3]][i],
            points: { show: this.kind === "match" && this.points.length < 30 },
            value: (_, value) => words(value),
          })),
        ],
      },
      this.columns(),
      this.element,
    );
  }

  fit() {
    const width = this.element.clientWidth;
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  add(points) {
    const last = this.points.at(-1)?.[0] ?? 0;
    const fresh = points.filter(([at]) => at > last);
    if (fresh.length === 0) return;
    this.points = [...this.points, ...fresh].filter(([at]) => at > fresh.at(-1)[0] - KEEP_S);
    this.plot.setData(this.columns());
    const words = this.element.parentElement.querySelector("[data-plot-words]");
    if (words) words.textContent = "";
  }
}

let plots = [...document.querySelectorAll("[data-plot]")].map((element) => new Plot(element));
const traffic = (points) =>
  plots.filter(({ kind }) => kind === "traffic").forEach((plot) => plot.add(points));

addEventListener("remediate:samples", ({ detail }) => traffic(detail));
matchMedia("(prefers-color-scheme: dark)").addEventListener(
  "change",
  () => plots.forEach((plot) => plot.draw()),
);
if (globalThis.remediateSamples) traffic(globalThis.remediateSamples);
addEventListener("pagehide", () => {
  for (const { observer } of plots) observer.disconnect();
  plots = [];
});
