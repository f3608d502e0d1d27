import { GenericContainer } from "testcontainers";
import { imageOf } from "./containers.ts";

/** A certificate that signed itself, and its key; PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/** Makes a certificate for names and addresses, such as `DNS:localhost,IP:127.0.0.1`. */
export async function makeCertificate(subjects: string): Promise<Certificate> {
  const container = await new GenericContainer(imageOf("tools"))
    .withNetworkMode("none")
    .withEntrypoint(["sleep"])
    .withCommand(["60"])
    .start();
  const files = "-keyout /tmp/key.pem -out /tmp/cert.pem";
  const what = `-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=switchboard-test`;
  const made = await container.exec([
    "sh",
    "-c",
    `openssl req ${what} -addext subjectAltName=${subjects} ${files} && chmod a+r /tmp/key.pem`,
  ]);
  const cert = await container.exec(["cat", "/tmp/cert.pem"]);
  const key = await container.exec(["cat", "/tmp/key.pem"]);
  await container.stop({ timeout: 0 });
  if (made.exitCode !== 0) {
    throw new Error(`could not make a certificate: ${made.output}`);
  }
  return { cert: cert.output, key: key.output };
}
