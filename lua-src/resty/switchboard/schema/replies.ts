/** What may stand in the place of a reply: errors, wrong types, nothing. */

import { Reply } from "../store/redis";

/** A reply list, such as field, value, field, value. */
export type Words = (string | number)[];

/** The message of an error reply. */
function failure_of(reply: Reply | undefined): string | undefined {
  if (type(reply) === "table" && (reply as [unknown])[0] === false) {
    return tostring((reply as unknown as [false, string])[1]);
  }
  return undefined;
}

function is_wrong_type(reply: Reply | undefined): boolean {
  const failure = failure_of(reply);
  return failure !== undefined && string.find(failure, "WRONGTYPE", 1, true)[0] !== undefined;
}

/** The words of a list; none for whatever is no list. */
function list_of(reply: Reply | undefined): Words {
  return type(reply) === "table" && failure_of(reply) === undefined ? (reply as unknown as Words) : [];
}

/** A reply that says more than "wrong type", such as a missing right: nothing may be concluded from it. */
function refusal(replies: Reply[], from: number, count: number): string | undefined {
  for (const i of $range(from, from + count - 1)) {
    const failure = failure_of(replies[i]);
    if (failure !== undefined && !is_wrong_type(replies[i])) {
      return failure;
    }
  }
  return undefined;
}

export { failure_of, is_wrong_type, list_of, refusal };
