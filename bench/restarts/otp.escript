#!/usr/bin/env escript
%% Crashes one child of a one_for_one supervisor again and again, each time once it is back: so many times, with so many
%% frames in the stack of its error. Prints restarts per second. A supervisor of OTP goes through the list of its latest
%% restarts with each of them, so there is a new one for each hundred.
-module(otp).
-mode(compile).
-export([main/1, init/1, start_child/1, handle_cast/2, handle_call/3]).

main([Count, Frames]) ->
    logger:set_primary_config(level, none),
    erlang:system_flag(backtrace_depth, list_to_integer(Frames)),
    process_flag(trap_exit, true),
    batches(200),
    Batches = list_to_integer(Count) div 100,
    {Took, ok} = timer:tc(fun() -> batches(Batches) end),
    io:format("~p~n", [Batches * 100 * 1000000 / Took]).

batches(0) -> ok;
batches(N) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, self()),
    receive {up, Pid} -> run(Pid, 100) end,
    exit(Supervisor, shutdown),
    receive {'EXIT', Supervisor, _} -> ok end,
    batches(N - 1).

run(_, 0) -> ok;
run(Pid, N) ->
    gen_server:cast(Pid, crash),
    receive {up, Next} -> run(Next, N - 1) end.

init({child, Owner}) ->
    Owner ! {up, self()},
    {ok, Owner};
init(Owner) ->
    Child = #{id => child, start => {?MODULE, start_child, [Owner]}, restart => permanent},
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1}, [Child]}}.

start_child(Owner) ->
    gen_server:start_link(?MODULE, {child, Owner}, []).

handle_cast(crash, _) -> error(crash).

handle_call(_, _, Owner) -> {reply, ok, Owner}.
