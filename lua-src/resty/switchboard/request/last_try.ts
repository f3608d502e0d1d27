/** nginx's `$upstream_…` variables list one value a try: `0.001, 0.020 : 0.003`. */

/** The last value of a list. A try that is about to begin has left a separator behind it. */
function of_last_try(list: string | undefined): string {
  const [value] = string.match(list ?? "", "([^,:%s]+)[,:%s]*$");
  return value ?? "-";
}

export { of_last_try };
