#!/usr/bin/env escript
%% Casts to one gen_server, and in the end asks it whether all have come. Prints messages per second.
-module(otp).
-mode(compile).
-export([main/1, init/1, handle_cast/2, handle_call/3]).

main([Count]) ->
    {ok, Pid} = gen_server:start_link(?MODULE, [], []),
    N = list_to_integer(Count),
    Warm = send(Pid, N div 4),
    {Took, All} = timer:tc(fun() -> send(Pid, N) end),
    true = All =:= Warm + N,
    io:format("~p~n", [N * 1000000 / Took]).

send(Pid, N) ->
    cast(Pid, N),
    gen_server:call(Pid, sum, infinity).

cast(_, 0) -> ok;
cast(Pid, N) ->
    gen_server:cast(Pid, {add, 1}),
    cast(Pid, N - 1).

init(_) -> {ok, 0}.

handle_cast({add, N}, Sum) -> {noreply, Sum + N}.

handle_call(sum, _, Sum) -> {reply, Sum, Sum}.
