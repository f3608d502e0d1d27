/** A small curve of a number's last minutes. */

const POINTS = 90;
/** So many fill the width at least: a new curve does not begin as a speck. */
const FEWEST = 10;
const [WIDTH, HEIGHT] = [120, 22];

export class Spark {
  private readonly values: number[] = [];
  private readonly area: Element;
  private readonly line: Element;

  constructor(svg: Element) {
    this.area = svg.querySelector(".area")!;
    this.line = svg.querySelector(".line")!;
  }

  add(value: number): void {
    this.values.push(value);
    if (this.values.length > POINTS) {
      this.values.shift();
    }
    const most = Math.max(...this.values, 1);
    const step = WIDTH / (Math.max(this.values.length, FEWEST) - 1);
    const points = this.values.map((each, i) => {
      const x = WIDTH - (this.values.length - 1 - i) * step;
      const y = HEIGHT - 1.5 - (each / most) * (HEIGHT - 3);
      return `${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    if (points.length > 1) {
      const first = points[0]!.split(" ")[0]!;
      this.line.setAttribute("d", `M${points.join("L")}`);
      this.area.setAttribute("d", `M${points.join("L")}L${WIDTH} ${HEIGHT}L${first} ${HEIGHT}Z`);
    }
  }
}
