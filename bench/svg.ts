/** Charts as SVG, readable on light and on dark pages: colours follow the reader's, on a ground of their own. */

/** Colours of light and dark pages, by the classes of the elements. */
const COLOURS: Record<string, [string, string]> = {
  ground: ["#ffffff", "#0d1117"],
  ink: ["#1f2328", "#f0f6fc"],
  soft: ["#59636e", "#9198a1"],
  grid: ["#e4e8ec", "#262c34"],
  blue: ["#0969da", "#58a6ff"],
  grey: ["#6e7781", "#a3adb8"],
  green: ["#1a7f37", "#3fb950"],
  orange: ["#bc4c00", "#f0883e"],
  purple: ["#8250df", "#bc8cff"],
};

export type Colour = "blue" | "grey" | "green" | "orange" | "purple";

const FONT = "ui-sans-serif,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif";

function style(): string {
  const rules = (page: 0 | 1): string =>
    Object.entries(COLOURS)
      .map(([name, of]) => `.${name}{color:${of[page]}}`)
      .join("");
  return `<style>text{font:13px ${FONT};fill:currentColor}.title{font-size:16px;font-weight:600}.small{font-size:12px}.tiny{font-size:11px}.bold{font-weight:600}.fill{fill:currentColor}.line{stroke:currentColor;fill:none}${rules(0)}@media (prefers-color-scheme:dark){${rules(1)}}</style>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** A tenth of a pixel is enough. */
function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function text(
  x: number,
  y: number,
  content: string,
  classes: string,
  anchor: "start" | "middle" | "end" = "start",
): string {
  return `<text x="${n(x)}" y="${n(y)}" class="${classes}" text-anchor="${anchor}">${escape(content)}</text>`;
}

function rule(x1: number, y1: number, x2: number, y2: number, classes: string, width = 1): string {
  return `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" class="line ${classes}" stroke-width="${width}"/>`;
}

export interface Axis {
  title: string;
  /** From a value to something that grows evenly: itself, or its logarithm. */
  scale: (value: number) => number;
  from: number;
  to: number;
  ticks: { at: number; label: string }[];
}

export interface Point {
  x: number;
  y: number;
  /** Between what all rounds lie. */
  low: number;
  high: number;
}

export interface Line {
  label: string;
  colour: Colour;
  points: Point[];
  dashed?: true;
  /** The one that the chart is about. */
  strong?: true;
}

export interface Words {
  title: string;
  /** A second line under it. */
  subtitle: string;
  /** Where the figures are from. */
  source: string;
}

const WIDTH = 820;
const TOP = 74;
const BOTTOM = 72;

function frame(words: Words, height: number, content: string): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(words.title)}">`,
    `<title>${escape(words.title)}</title>`,
    style(),
    `<rect width="${WIDTH}" height="${height}" rx="8" class="fill ground"/>`,
    text(24, 32, words.title, "title ink"),
    text(24, 52, words.subtitle, "small soft"),
    content,
    text(24, height - 14, words.source, "tiny soft"),
    "</svg>\n",
  ].join("\n");
}

/** Moves labels apart that would stand on each other, in the order of where they belong. */
function spread(places: number[], distance: number, most: number): number[] {
  const order = places.map((_, i) => i).sort((a, b) => places[a]! - places[b]!);
  const moved = [...places];
  for (let pass = 0; pass < 50; pass += 1) {
    for (let k = 1; k < order.length; k += 1) {
      const [above, below] = [order[k - 1]!, order[k]!];
      const overlap = distance - (moved[below]! - moved[above]!);
      if (overlap > 0) {
        moved[above]! -= overlap / 2;
        moved[below]! += overlap / 2;
      }
    }
    for (const i of order) {
      moved[i] = Math.min(moved[i]!, most);
    }
  }
  return moved;
}

export type Spread = "bands" | "whiskers";

/** Lines with their names at their ends. */
export function lineChart(words: Words, x: Axis, y: Axis, lines: Line[], spreadAs: Spread): string {
  const height = 460;
  const [left, right] = [84, WIDTH - 200];
  const [top, bottom] = [TOP, height - BOTTOM];
  const across = (value: number): number =>
    left + ((x.scale(value) - x.scale(x.from)) / (x.scale(x.to) - x.scale(x.from))) * (right - left);
  const up = (value: number): number => {
    const share = (y.scale(value) - y.scale(y.from)) / (y.scale(y.to) - y.scale(y.from));
    return bottom - Math.min(1, Math.max(0, share)) * (bottom - top);
  };
  const grid = [
    ...y.ticks.flatMap(({ at, label }) => [
      rule(left, up(at), right, up(at), "grid"),
      text(left - 8, up(at) + 4, label, "small soft", "end"),
    ]),
    ...x.ticks.flatMap(({ at, label }) => [
      rule(across(at), bottom, across(at), bottom + 5, "soft"),
      text(across(at), bottom + 20, label, "small soft", "middle"),
    ]),
    rule(left, bottom, right, bottom, "soft"),
    text((left + right) / 2, bottom + 39, x.title, "small soft", "middle"),
    `<text transform="translate(22 ${n((top + bottom) / 2)}) rotate(-90)" class="small soft" text-anchor="middle">${escape(y.title)}</text>`,
  ];
  const spreads = lines.flatMap(({ points, colour }) => {
    if (spreadAs === "whiskers") {
      return points.flatMap((point) => [
        rule(across(point.x), up(point.low), across(point.x), up(point.high), colour, 1.5),
        rule(across(point.x) - 3, up(point.low), across(point.x) + 3, up(point.low), colour, 1.5),
        rule(across(point.x) - 3, up(point.high), across(point.x) + 3, up(point.high), colour, 1.5),
      ]);
    }
    const corners = [
      ...points.map((point) => `${n(across(point.x))},${n(up(point.high))}`),
      ...points.toReversed().map((point) => `${n(across(point.x))},${n(up(point.low))}`),
    ];
    return [`<polygon points="${corners.join(" ")}" class="fill ${colour}" fill-opacity="0.13"/>`];
  });
  const strokes = lines.flatMap(({ points, colour, dashed, strong }) => [
    `<polyline points="${points.map((point) => `${n(across(point.x))},${n(up(point.y))}`).join(" ")}" class="line ${colour}" stroke-width="${strong === true ? 3 : 2}" stroke-linejoin="round"${dashed === true ? ' stroke-dasharray="6 4"' : ""}/>`,
    ...(spreadAs === "whiskers"
      ? points.map(
          (point) =>
            `<circle cx="${n(across(point.x))}" cy="${n(up(point.y))}" r="${strong === true ? 4.5 : 3.5}" class="fill ${colour}"/>`,
        )
      : []),
  ]);
  const ends = lines.map(({ points }) => points.at(-1)!);
  const places = spread(
    ends.map((end) => up(end.y)),
    17,
    bottom,
  );
  const labels = lines.flatMap(({ label, colour, strong }, i) => {
    const [from, to] = [across(ends[i]!.x), right + 14];
    return [
      `<polyline points="${n(from + 6)},${n(up(ends[i]!.y))} ${n(to - 5)},${n(places[i]!)}" class="line ${colour}" stroke-width="1" stroke-opacity="0.45"/>`,
      `<text x="${n(to)}" y="${n(places[i]! + 4)}" class="${colour}${strong === true ? " bold" : ""}">${escape(label)}</text>`,
    ];
  });
  return frame(words, height, [...grid, ...spreads, ...strokes, ...labels].join("\n"));
}

export interface Row {
  label: string;
  dots: { colour: Colour; at: number; low: number; high: number; strong?: true }[];
}

/** A row for each thing, a dot in it for each who does it. */
export function dotChart(
  words: Words,
  x: Axis,
  rows: Row[],
  legend: { label: string; colour: Colour }[],
): string {
  const step = 34;
  const [left, right] = [250, WIDTH - 36];
  const top = TOP + 34;
  const bottom = top + rows.length * step;
  const across = (value: number): number =>
    left + ((x.scale(value) - x.scale(x.from)) / (x.scale(x.to) - x.scale(x.from))) * (right - left);
  let at = left;
  const key = legend.flatMap(({ label, colour }) => {
    const place = at;
    at += 34 + label.length * 7;
    return [
      `<circle cx="${n(place)}" cy="${TOP + 8}" r="5" class="fill ${colour}"/>`,
      text(place + 11, TOP + 12, label, "ink"),
    ];
  });
  const grid = [
    ...x.ticks.flatMap((tick) => [
      rule(across(tick.at), top, across(tick.at), bottom, "grid"),
      text(across(tick.at), bottom + 18, tick.label, "small soft", "middle"),
    ]),
    text((left + right) / 2, bottom + 37, x.title, "small soft", "middle"),
  ];
  const marks = rows.flatMap(({ label, dots }, i) => {
    const y = top + (i + 0.5) * step;
    return [
      rule(left, y, right, y, "grid"),
      text(left - 14, y + 4, label, "ink", "end"),
      ...dots.flatMap(({ colour, at: value, low, high, strong }) => [
        rule(across(low), y, across(high), y, colour, 3.5),
        `<circle cx="${n(across(value))}" cy="${n(y)}" r="${strong === true ? 6.5 : 5}" class="fill ${colour}"/>`,
      ]),
    ];
  });
  return frame(words, bottom + BOTTOM, [...key, ...grid, ...marks].join("\n"));
}

/** 1, 2 and 5 of every power of ten between two values. */
export function logTicks(from: number, to: number, steps = [1, 2, 5]): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power += 1) {
    ticks.push(...steps.map((step) => step * 10 ** power));
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}
