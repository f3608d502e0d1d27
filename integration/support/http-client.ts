import { Agent, request as send, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { connect } from "node:net";

/** A request to one listener of the router. */
export interface Question {
  /** The Host header. */
  host: string;
  path?: string;
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: string | Buffer;
  /** The listener's address; 127.0.0.1 unless given. */
  address?: string;
  /** Without one every request has a connection of its own. */
  agent?: Agent;
  /** Seconds until the request counts as hanging; 20 unless given. */
  patience?: number;
}

/** A response, read to its end. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  bytes: Buffer;
}

/** Set on an error of a request whose connection had served another one before. */
export interface RequestError extends Error {
  reusedConnection?: boolean;
}

/**
 * Sends a request and reads the response.
 *
 * @throws when the connection breaks, also in the middle of the body
 */
export async function ask(port: number, question: Question): Promise<Answer> {
  const { host, path = "/", method = "GET", headers = {}, body, address = "127.0.0.1", agent } = question;
  const patience = (question.patience ?? 20) * 1000;
  return new Promise((resolve, reject) => {
    const sent = send({
      host: address,
      port,
      path,
      method,
      headers: { host, ...headers },
      agent: agent ?? false,
      signal: AbortSignal.timeout(patience),
    });
    sent.on("error", (error: RequestError) => {
      error.reusedConnection = sent.reusedSocket;
      reject(error);
    });
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: bytes.toString(),
          bytes,
        });
      });
    });
    sent.end(body);
  });
}

/**
 * Sends bytes as they are and reads until the other side closes. For requests that no client would make:
 * let them say `Connection: close`, or HTTP/1.0.
 */
export async function sendRaw(port: number, bytes: string, address = "127.0.0.1"): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, address, () => socket.write(bytes, "latin1"));
    socket.setTimeout(20_000, () => socket.destroy(new Error("no end of the response after 20 s")));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

/** The status of a raw response. */
export function statusOf(response: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3}) /.exec(response)?.[1] ?? 0);
}

/** A header of a raw response. */
export function headerOf(response: string, name: string): string | undefined {
  return new RegExp(`^${name}: ([^\\r]*)\\r$`, "im").exec(response)?.[1];
}
