/**
 * Nothing, for the fields of a hot table that are filled in later.
 *
 * A table constructor of LuaJIT keeps no place for a field whose value is the constant nil, only for one whose value it
 * does not know yet. Without a place each table gets the field where there is room at that moment, and loses it to
 * another when it is nil again: tables of one kind come to have many layouts, and LuaJIT, which compiles for one
 * layout at a time, goes on compiling for as long as the worker lives.
 */
export const absent = undefined;
