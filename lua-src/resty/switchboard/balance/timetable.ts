/**
 * Whose turn it is in a weighted rotation, at O(log n) a turn: earliest deadline first.
 *
 * The k-th turn (from 0) of a member of weight w is due at (k + 1/2) / w; whoever is due first has it. Then
 * nobody is ever a whole turn away from its share, and after as many turns as the weights add up to each has had
 * exactly its weight. The members stand in a binary heap by due time, the lower index first among equals.
 */

export interface Timetable {
  /** Members in heap order; 1-based, with nothing at 0. */
  heap: number[];
  count: number;
  weights: number[];
  /** Turns that each has had. */
  had: number[];
  /** When each is due, in rounds. */
  due: number[];
}

function is_before(table: Timetable, a: number, b: number): boolean {
  const due_a = table.due[a]!;
  const due_b = table.due[b]!;
  return due_a < due_b || (due_a === due_b && a < b);
}

/** Lets the member at a place of the heap sink to where it belongs. */
function sink(table: Timetable, from: number): void {
  const heap = table.heap;
  const count = table.count;
  const member = heap[from]!;
  let place = from;
  let child = place * 2;
  while (child <= count) {
    if (child < count && is_before(table, heap[child + 1]!, heap[child]!)) {
      child += 1;
    }
    if (!is_before(table, heap[child]!, member)) {
      break;
    }
    heap[place] = heap[child]!;
    place = child;
    child = place * 2;
  }
  heap[place] = member;
}

/** @param weights each above 0 */
function create(weights: number[]): Timetable {
  const table: Timetable = { heap: [-1], count: weights.length, weights, had: [], due: [] };
  for (const i of $range(1, weights.length)) {
    table.heap[i] = i - 1;
    table.had[i - 1] = 0;
    table.due[i - 1] = 0.5 / weights[i - 1]!;
  }
  for (const place of $range(math.floor(weights.length / 2), 1, -1)) {
    sink(table, place);
  }
  return table;
}

/** The member (0-based) whose turn it is. */
function next_turn(table: Timetable): number {
  const member = table.heap[1]!;
  const had = table.had[member]! + 1;
  table.had[member] = had;
  table.due[member] = (had + 0.5) / table.weights[member]!;
  sink(table, 1);
  return member;
}

export { create, next_turn };
