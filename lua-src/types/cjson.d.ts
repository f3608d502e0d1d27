/** @noResolution */
declare module "cjson.safe" {
  /** nil when the value cannot be written as JSON. */
  export function encode(this: void, value: unknown): string | undefined;
}
