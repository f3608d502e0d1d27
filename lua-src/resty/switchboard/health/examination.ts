/** One check of one instance: that it takes connections, or that it answers a request as its route wants. */

import { allows, Check } from "../schema/check";

/** Whom to ask. */
export interface Patient {
  /** `http://10.0.0.5:8080` */
  identity: string;
  /** IPv6 in brackets. */
  address: string;
  port: number;
  tls: boolean;
  /** SNI under TLS. */
  server_name: string | undefined;
  /** What it is told as Host. */
  host: string;
}

/** Bytes of an answer that are read: what comes behind them is not looked at. */
const MOST_READ = 65536;
const SLICE = 8192;
/** ngx_lua takes 0 for "no timeout at all". */
const SHORTEST_WAIT = 1;

/** From now on each wait ends at the deadline. */
function wait_until(socket: NgxTcpSocket, deadline: number): void {
  socket.settimeout(math.max(SHORTEST_WAIT, math.floor((deadline - ngx.now()) * 1000)));
}

/** More hexadecimal digits than what is read of an answer could have. */
const MOST_DIGITS = 5;

/** The good chunks of a chunked body (RFC 9112, 7.1), as far as they have come. */
function joined(body: string): string {
  const parts: string[] = [];
  let from = 1;
  while (from <= body.length) {
    const [, line_end, found] = string.find(body, "^(%x+)[^\n]*\r\n", from);
    const digits = tostring(found ?? "");
    if (line_end === undefined || digits.length > MOST_DIGITS) {
      break;
    }
    const size = tonumber(digits, 16)!;
    parts.push(string.sub(body, line_end + 1, line_end + size));
    from = line_end + size + 3;
  }
  return table.concat(parts);
}

function has_text(answer: string, text: string): boolean {
  const [, head_end] = string.find(answer, "\r\n\r\n", 1, true);
  if (head_end === undefined) {
    return false;
  }
  const head = string.lower(string.sub(answer, 1, head_end));
  const body = string.sub(answer, head_end + 1);
  const is_chunked = string.find(head, "\r\ntransfer%-encoding:[^\r]*chunked")[0] !== undefined;
  return string.find(is_chunked ? joined(body) : body, text, 1, true)[0] !== undefined;
}

/**
 * What an answer is worth.
 *
 * @param answer what has come of it
 * @param ended no more will come
 * @returns whether that is known, and what is wrong
 */
function judge(check: Check, answer: string, ended: boolean): LuaMultiReturn<[boolean, string | undefined]> {
  const [line_end] = string.find(answer, "\n", 1, true);
  if (line_end === undefined) {
    return $multi(ended, ended ? "closed without an answer" : undefined);
  }
  const [digits] = string.match(answer, "^HTTP/1%.[01] (%d%d%d)");
  const status = tonumber(digits);
  if (status === undefined) {
    return $multi(true, "no HTTP");
  }
  if (!allows(check, status)) {
    return $multi(true, string.format("status %d", status));
  }
  if (check.body === undefined || has_text(answer, check.body)) {
    return $multi(true, undefined);
  }
  return $multi(ended, ended ? `status ${status}, without the text in its body` : undefined);
}

/** Sends the request and reads as much of the answer as matters. */
function ask(socket: NgxTcpSocket, patient: Patient, check: Check, deadline: number): string | undefined {
  const [sent, unsent] = socket.send(
    `GET ${check.path} HTTP/1.1\r\nHost: ${patient.host}\r\nUser-Agent: Switchboard-Check\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
  );
  if (sent === undefined) {
    return `could not ask: ${unsent}`;
  }
  let answer = "";
  while (ngx.now() < deadline) {
    wait_until(socket, deadline);
    const [more, err] = socket.receiveany(SLICE);
    if (err === "timeout") {
      break;
    }
    answer += more ?? "";
    const [known, problem] = judge(check, answer, more === undefined || answer.length >= MOST_READ);
    if (known) {
      return problem;
    }
  }
  return "no answer in time";
}

function examine_on(
  socket: NgxTcpSocket,
  patient: Patient,
  check: Check,
  deadline: number,
): string | undefined {
  if (patient.tls) {
    wait_until(socket, deadline);
    // As requests do: the certificate is not looked at.
    const [ok, err] = socket.sslhandshake(false, patient.server_name, false);
    if (ok === undefined) {
      return `TLS: ${err}`;
    }
  }
  return check.path !== undefined ? ask(socket, patient, check, deadline) : undefined;
}

/**
 * Checks an instance. Yields; a handshake that drips may hold it for longer than the check's timeout.
 *
 * @returns what is wrong; undefined: nothing
 */
function examine(patient: Patient, check: Check): string | undefined {
  const deadline = ngx.now() + check.timeout;
  const socket = ngx.socket.tcp();
  wait_until(socket, deadline);
  const [connected, err] = socket.connect(patient.address, patient.port);
  if (connected === undefined) {
    return `could not connect: ${err}`;
  }
  const problem = examine_on(socket, patient, check, deadline);
  socket.close();
  return problem;
}

export { examine, judge };
