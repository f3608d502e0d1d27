import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["lib/", "dist/", "node_modules/", "integration/node_modules/", "**/*.js"] },
  eslint.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ["tstl.json", "tsconfig.json", "dashboard/tsconfig.json"] },
    },
    rules: {
      eqeqeq: "error",
      "prefer-const": ["error", { destructuring: "all" }],
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_" }],
      "@typescript-eslint/explicit-function-return-type": ["error", { allowExpressions: true }],
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    files: ["lua-src/**/*.ts"],
    rules: {
      // In Lua 0 and "" are true: a condition must be a boolean.
      "@typescript-eslint/strict-boolean-expressions": [
        "error",
        { allowString: false, allowNumber: false, allowNullableObject: false },
      ],
      // A switch stays interpreted in a hot function, a class needs lualib.
      "no-restricted-syntax": ["error", "SwitchStatement", "ClassDeclaration", "TryStatement"],
      "no-undef": "off",
      "@typescript-eslint/no-unsafe-function-type": "off",
      // Lua's own functions are declared with overloads that these rules mistake for promises and anys.
      "@typescript-eslint/no-unnecessary-type-assertion": "off",
    },
  },
  {
    files: ["integration/**/*.ts", "bench/**/*.ts"],
    rules: {
      // node:test's own functions return promises that the runner awaits.
      "@typescript-eslint/no-floating-promises": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
    },
  },
);
