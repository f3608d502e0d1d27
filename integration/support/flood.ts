import { connect } from "node:net";

/** Asks for so many hosts that nobody knows, many on one connection; how often the answer was 404. */
export async function flood(port: number, count: number, hostOf: (i: number) => string): Promise<number> {
  return new Promise((resolve, reject) => {
    let [sent, answered] = [0, 0];
    const socket = connect(port, "127.0.0.1", () => send());
    const send = (): void => {
      const more = Math.min(200, count - sent);
      let text = "";
      for (let i = 0; i < more; i += 1) {
        text += `GET / HTTP/1.1\r\nHost: ${hostOf(sent + i)}\r\n\r\n`;
      }
      sent += more;
      socket.write(text);
    };
    let tail = "";
    socket.on("data", (bytes) => {
      const text = tail + bytes.toString("latin1");
      const parts = text.split("X-Switchboard-Error: unknown_route\r\n");
      tail = (parts.pop() ?? "").slice(-40);
      answered += parts.length;
      if (answered >= count) {
        socket.destroy();
        resolve(answered);
      } else if (answered >= sent) {
        send();
      }
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after ${answered} answers`)));
  });
}
