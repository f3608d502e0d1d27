/** The judges of the layouts that the option `schema` names, in its order. */

import { Config } from "../config";
import { parse_key_format } from "../schema/keys";
import { Layout } from "../schema/layout";
import { create_layouts } from "../schema/layouts";
import { Judge } from "./judge";
import { dinp_judge } from "./judge_dinp";
import { frontend_judge } from "./judge_frontend";
import { native_judge } from "./judge_native";

/** The first that reads options from native keys judges them: the native layout before all others. */
function owner_of_options(layouts: Layout[]): Layout | undefined {
  let found: Layout | undefined = undefined;
  for (const layout of layouts) {
    if (layout.name === "native") {
      return layout;
    }
    if (layout.name !== "dinp") {
      found ??= layout;
    }
  }
  return found;
}

/** @param config whose `schema` was validated */
function create_judges(config: Config): Judge[] {
  const format = parse_key_format(config.key_format);
  const layouts = create_layouts(config);
  const owner = owner_of_options(layouts);
  const judges: Judge[] = [];
  for (const layout of layouts) {
    if (layout.name === "native") {
      judges.push(native_judge(format, layouts));
    } else if (layout.name === "dinp") {
      judges.push(dinp_judge(layout));
    } else {
      judges.push(frontend_judge(config, format, layout, layouts, layout === owner));
    }
  }
  return judges;
}

export { create_judges };
